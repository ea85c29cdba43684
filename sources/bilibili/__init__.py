"""A Bilibili live room over Open-Live, the official platform (open-live.bilibili.com)."""
