/** plotly.js, loaded when the first chart comes into view: 4.8 MB that the first picture must not wait for. */
import { PLOTLY_URL } from "../api";

export interface Figure {
  readonly data: unknown[];
  readonly layout: Record<string, unknown>;
}

interface Plotly {
  readonly react: (box: HTMLElement, data: unknown[], layout: unknown, config: unknown) => Promise<unknown>;
  readonly purge: (box: HTMLElement) => void;
}

declare global {
  interface Window {
    Plotly?: Plotly;
  }
}

let loading: Promise<Plotly> | null = null;

export function loadPlotly(): Promise<Plotly> {
  loading ??= new Promise<Plotly>((resolve, reject) => {
    const script = document.createElement("script");
    script.src = PLOTLY_URL;
    script.async = true;
    script.onload = () => (window.Plotly ? resolve(window.Plotly) : reject(new Error("plotly.js did not load")));
    script.onerror = () => {
      loading = null; // the next chart may try again
      script.remove();
      reject(new Error("plotly.js did not load"));
    };
    document.head.append(script);
  });
  return loading;
}

/** Nothing is sent anywhere, and no logo: plotly's own default offers an upload. */
export const CONFIG = {
  displaylogo: false,
  showSendToCloud: false,
  responsive: true,
  displayModeBar: "hover",
  modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
} as const;
