/** The run in charts that Python made: asked for at most every two seconds, and only while they are in sight. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { getFigures, type Figures } from "../api";
import { t } from "../i18n";
import { useVisible } from "../parts/visible";
import { isDark, language } from "../store/preferences";
import { isLive, openRunId, status } from "../store/run";
import { CONFIG, loadPlotly, type Figure } from "./plotly";

const ASK_EVERY_MS = 2_000;

/** The newest figures of the open run while `visible`; null: not yet, an Error: they could not be had. */
function useFigures(visible: boolean) {
  const figures = useSignal<Figures | Error | null>(null);
  const [run, lang, dark, live] = [openRunId.value, language.value, isDark.value, isLive.value];
  // While it starts, a run has no recording yet.
  const begun = status.value !== null && status.value.state !== "starting";
  useEffect(() => {
    if (!visible || !begun) return;
    let over = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      try {
        const next = document.hidden ? null : await getFigures(run, lang, dark ? "dark" : "light");
        if (!over && next) figures.value = next;
      } catch (error) {
        if (!over && figures.peek() === null) figures.value = error as Error;
      }
      if (!over && live) timer = setTimeout(() => void ask(), ASK_EVERY_MS);
    };
    void ask();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [visible, begun, run, lang, dark, live]);
  return figures;
}

export function Charts() {
  const root = useRef<HTMLElement>(null);
  const visible = useVisible(root);
  const figures = useFigures(visible.value).value;
  return (
    <section class="pane charts" ref={root} aria-label={t("charts.title")}>
      <div class="pane-head">
        <h2>{t("charts.title")}</h2>
      </div>
      <Coming figures={figures} />
      {figures !== null && !(figures instanceof Error) && (
        <div class="charts-grid">
          {Object.entries(figures).map(([name, figure]) => (
            <Chart key={name} figure={figure} />
          ))}
        </div>
      )}
    </section>
  );
}

/** One of the run's figures by its name, below a title of the page's own. */
export function OneChart({ name }: { readonly name: string }) {
  const root = useRef<HTMLDivElement>(null);
  const visible = useVisible(root);
  const figures = useFigures(visible.value).value;
  const figure = figures instanceof Error ? undefined : figures?.[name];
  return (
    <div ref={root} class="one-chart">
      <Coming figures={figures} />
      {figure && <Chart figure={figure} isTitled={false} />}
    </div>
  );
}

/** Not there yet, or not to be had. */
function Coming({ figures }: { readonly figures: Figures | Error | null }) {
  if (figures instanceof Error) return <p class="chart quiet">{t("charts.failed")}</p>;
  return figures === null ? <p class="chart quiet">{t("charts.loading")}</p> : null;
}

let revision = 0;

function Chart({ figure, isTitled = true }: { readonly figure: Figure; readonly isTitled?: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const failed = useSignal(false);
  useEffect(() => {
    let over = false;
    loadPlotly()
      .then((plotly) =>
        requestAnimationFrame(() => {
          if (over || !box.current) return;
          revision += 1;
          void plotly.react(box.current, figure.data, onThisPage(figure.layout, revision), CONFIG);
        }),
      )
      .catch(() => (failed.value = true));
    return () => {
      over = true;
    };
  }, [figure]);
  useEffect(() => {
    const drawn = box.current;
    return () => {
      if (drawn) window.Plotly?.purge(drawn);
    };
  }, []);
  return (
    <figure class="chart">
      <figcaption class={isTitled ? "" : "spoken"}>{titleOf(figure.layout)}</figcaption>
      {failed.value ? <p class="quiet">{t("charts.failed")}</p> : <div ref={box} class="plot" />}
    </figure>
  );
}

type Layout = Figure["layout"];

/** A figure is made for reports too; here the page writes its title, and the legend stands above the axes. */
function onThisPage(layout: Layout, datarevision: number): Layout {
  const font = layout.font as object | undefined;
  const legend = layout.legend as object | undefined;
  return {
    ...layout,
    title: undefined,
    autosize: true,
    margin: { l: 52, r: 44, t: 8, b: 40 },
    font: { ...font, family: "system-ui, sans-serif", size: 11 },
    legend: { ...legend, orientation: "h", x: 0, y: 1.02, yanchor: "bottom", xanchor: "left" },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    // uirevision: a zoom survives new data. datarevision: plotly sees only that a new number came.
    uirevision: "kept",
    datarevision,
  };
}

function titleOf(layout: Layout): string {
  const title = layout.title as { readonly text?: string } | string | undefined;
  return typeof title === "string" ? title : (title?.text ?? "");
}
