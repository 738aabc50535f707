export class Session extends EventTarget {
    /** @param {Options} options */
    constructor({ auth, socket, events, fetch }?: Options);
    /** As the global one. What its tokens alone have failed is sent again. @type {typeof globalThis.fetch} */
    fetch: typeof globalThis.fetch;
    /** End the session, in all tabs. */
    signOut(): Promise<Response>;
    /** Ask who is signed in: null for nobody. Call it after a login. @returns {Promise<SessionView | null | undefined>} */
    check(): Promise<SessionView | null | undefined>;
    #private;
}
import type { SessionView } from "./types.js";
import type { Options } from "./types.js";
