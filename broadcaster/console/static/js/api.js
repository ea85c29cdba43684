// HTTP calls to the control API. Every failure becomes an ApiError with the daemon's own code.

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (cause) {
    throw new ApiError(0, "network", cause.message);
  }
  let body = {};
  try {
    body = await response.json();
  } catch {
    // An answer without a body still has a status.
  }
  if (!response.ok) throw new ApiError(response.status, body.error ?? "refused", body.message ?? response.statusText);
  return body;
}

const post = (path, body) =>
  call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const session = () => call("/api/session");
export const status = () => call("/api/status");
export const asrun = (limit) => call(`/api/asrun?limit=${limit}`).then((answer) => answer.rows);
export const login = (token) => post("/api/login", { token });
/** `interrupt`, `panic` or `resume`. */
export const command = (type) => post(`/api/${type}`, {});
export const logout = () => post("/api/logout", {});
