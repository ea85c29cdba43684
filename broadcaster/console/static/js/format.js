// Numbers and times as the page shows them.

/** 75 -> "1:15", 3675 -> "1:01:15", 93600 -> "1d 2h". */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days) return `${days}d ${hours}h`;
  const tail = `${String(minutes).padStart(hours ? 2 : 1, "0")}:${String(whole % 60).padStart(2, "0")}`;
  return hours ? `${hours}:${tail}` : tail;
}

/** The channel's own time: a tick counter as hours, minutes, seconds and pictures. */
export function timecode(tick, fps) {
  const two = (value) => String(value).padStart(2, "0");
  const seconds = Math.floor(tick / fps);
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${two(tick % fps)}`;
}

export function clockTime(wallNs) {
  return new Date(wallNs / 1e6).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

/** What a viewer would count: code points, not UTF-16 units. */
export function length(text) {
  return Array.from(text).length;
}
