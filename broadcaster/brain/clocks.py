"""Times and dates as they are said. Pure."""

from __future__ import annotations

from datetime import datetime


def day_of(moment: datetime, language: str) -> str:
    """2026年3月2日，星期一, or Monday, March 2, 2026."""
    if language == "zh":
        return f"{moment.year}年{moment.month}月{moment.day}日，星期{'一二三四五六日'[moment.weekday()]}"
    return f"{moment:%A}, {moment:%B} {moment.day}, {moment.year}"


def clock_of(moment: datetime, language: str) -> str:
    """上午9点5分, 凌晨1点整, 中午12点整; or 9:05 AM."""
    hour = moment.hour
    if language != "zh":
        return f"{hour % 12 or 12}:{moment.minute:02d} {'AM' if hour < 12 else 'PM'}"
    part = next(
        name for end, name in ((6, "凌晨"), (12, "上午"), (13, "中午"), (18, "下午"), (24, "晚上")) if hour < end
    )
    minute = f"{moment.minute}分" if moment.minute else "整"
    return f"{part}{hour if hour <= 12 else hour - 12}点{minute}"
