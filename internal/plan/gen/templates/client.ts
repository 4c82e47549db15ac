/** Where events go: the application's own collector, never Amplitude. */
export interface Options {
  /** URL of the collector, such as /v1/events. */
  endpoint: string;
  /** Replaces the global fetch, for tests. */
  fetch?: typeof fetch;
  /** Hears of what could not be sent. Defaults to console.error. */
  onError?: (event: string, error: unknown) => void;
}

/** Sends one event at a time and never throws: analytics breaks no product. */
export class Sender {
  private readonly options: Options;

  constructor(options: Options) {
    this.options = options;
  }

  /** Resolves to whether the collector took the event. */
  protected async send(event: string, version: string, properties: object): Promise<boolean> {
    try {
      const post = this.options.fetch ?? globalThis.fetch;
      const response = await post(this.options.endpoint, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        credentials: "same-origin",
        keepalive: true,
        body: JSON.stringify({
          id: crypto.randomUUID(),
          event,
          version,
          occurred_at: new Date().toISOString(),
          properties,
        }),
      });
      if (!response.ok) {
        throw new Error(`collector answered ${response.status}`);
      }
      return true;
    } catch (error) {
      try {
        (this.options.onError ?? ((name, e) => console.error("analytics:", name, e)))(event, error);
      } catch {
        // an error of the error handler is nobody's business either
      }
      return false;
    }
  }
}
