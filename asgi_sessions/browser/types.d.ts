/** What `new Session(…)` takes. */
export interface Options {
  /** Where the session's routes are: "/auth". Requests to other origins than its own are left alone. */
  auth?: string | URL;
  /** A WebSocket that the server closes when the session ends. */
  socket?: string | URL;
  /** Instead of it, an event stream that ends with the session. */
  events?: string | URL;
  /** What sends, by default the global one: for Node, which has no cookies of its own. */
  fetch?: typeof globalThis.fetch;
}

/** What `GET /auth/session` answers. Times are ISO 8601. */
export interface SessionView {
  session_handle: string;
  user_id: string | number;
  jwt_payload: any;
  persistent: boolean;
  auth_time: string;
  authentication_methods: Record<string, string>;
  /** Who acts as the user; null for the user. */
  actor: string | number | null;
  /** When the session ends in any case. */
  expires_at: string;
  /** When it ends unless it is used before. Not in the answer to a refresh. */
  idle_expires_at?: string;
  /** The same in seconds from now. */
  expires_in?: number;
}

/** Why the page is told: it signed out itself; the server no longer knows the session; a copied token; another user. */
export type Reason = "signed_out" | "unauthorised" | "token_theft_detected" | "another_user";

/** The event "signedout". */
export interface SignedOutEvent extends Event {
  type: "signedout";
  reason: Reason;
}
