/** What was in a batch: thumbnails, texts, and each tensor with its shape, type and range. */
import { useRef } from "preact/hooks";
import { t, tOr } from "../../i18n";
import { number, significant } from "../../i18n/format";
import { Icon } from "../../parts/icon";
import { useLooking } from "../../parts/looking";
import { Thumbnail } from "../../parts/thumbnail";
import { classes, isLive, openRunId, pinnedPreview, previews } from "../../store/run";
import { selectBatch, selectedBatch } from "../../store/selection";
import type { Preview, TensorInfo } from "../../wire";

export function BatchContents() {
  const root = useRef<HTMLElement>(null);
  useLooking(root);
  const list = previews.value;
  const wanted = previewOfSelection() ?? list.find(({ number: each }) => each === pinnedPreview.value) ?? list.at(-1);
  return (
    <section ref={root} aria-label={t("batch.title")}>
      <div class="pane-head">
        <h2>{t("batch.title")}</h2>
        {wanted && <Position preview={wanted} />}
      </div>
      <div class="batch-body">{wanted ? <Contents preview={wanted} /> : <p class="hint">{t(isLive.value ? "batch.coming" : "batch.none")}</p>}</div>
    </section>
  );
}

function previewOfSelection(): Preview | undefined {
  const id = selectedBatch.value;
  return id ? previews.value.find(({ batch, epoch }) => batch === id.batch && epoch === id.epoch) : undefined;
}

function Position({ preview }: { readonly preview: Preview }) {
  const list = previews.value;
  const index = list.indexOf(preview);
  const go = (to: number) => (pinnedPreview.value = to >= list.length - 1 ? 0 : list[to]!.number);
  return (
    <>
      <button type="button" class="button bare compact" onClick={() => selectBatch({ epoch: preview.epoch, batch: preview.batch })}>
        {t("batch.position", { batch: number(preview.batch), epoch: number(preview.epoch) })}
        {preview.indices_total > 0 && ` · ${t("dataset.samples", { count: number(preview.indices_total) })}`}
      </button>
      <span class="end">
        <button type="button" class="button bare compact icon" disabled={index <= 0} aria-label={t("batch.earlier")} title={t("batch.earlier")} onClick={() => go(index - 1)}>
          <Icon name="left" />
        </button>
        <button type="button" class="button bare compact icon" disabled={index >= list.length - 1} aria-label={t("batch.later")} title={t("batch.later")} onClick={() => go(index + 1)}>
          <Icon name="right" />
        </button>
      </span>
    </>
  );
}

function Contents({ preview }: { readonly preview: Preview }) {
  return (
    <>
      {preview.sheet && <Thumbnails preview={preview} />}
      {preview.texts.length > 0 && <Texts preview={preview} />}
      {preview.sheet && preview.indices_total > preview.tiles && (
        <p class="small quiet">{t("batch.more", { shown: number(preview.tiles), count: number(preview.indices_total) })}</p>
      )}
      <Leaves leaves={preview.leaves} />
    </>
  );
}

function Thumbnails({ preview }: { readonly preview: Preview }) {
  return (
    <div class="thumbs">
      {Array.from({ length: preview.tiles }, (_, tile) => (
        <figure key={tile} class="thumb">
          <Thumbnail run={openRunId.value} preview={preview} tile={tile} />
          <figcaption>
            <span title={preview.labels[tile] ?? ""}>{preview.labels[tile] ?? ""}</span>
            <span class="quiet">{preview.indices[tile] === undefined ? "" : `#${preview.indices[tile]}`}</span>
          </figcaption>
        </figure>
      ))}
    </div>
  );
}

function Texts({ preview }: { readonly preview: Preview }) {
  return (
    <ul class="texts">
      {preview.texts.map((text, index) => (
        <li key={index}>
          <span class="quiet small">
            {preview.labels[index] ?? ""} {preview.indices[index] === undefined ? "" : `#${preview.indices[index]}`}
          </span>
          <p>{text}</p>
        </li>
      ))}
    </ul>
  );
}

function Leaves({ leaves }: { readonly leaves: readonly TensorInfo[] }) {
  if (leaves.length === 0) return null;
  return (
    <div class="table-scroll leaves">
      <table>
        <thead>
          <tr>
            <th>{t("leaf.path")}</th>
            <th>{t("leaf.kind")}</th>
            <th>{t("leaf.dtype")}</th>
            <th>{t("leaf.shape")}</th>
            <th class="n">{t("leaf.min")}</th>
            <th class="n">{t("leaf.mean")}</th>
            <th class="n">{t("leaf.max")}</th>
            <th>{t("leaf.sample")}</th>
          </tr>
        </thead>
        <tbody>
          {leaves.map((leaf) => (
            <tr key={leaf.path}>
              <td class="mono">{leaf.path || "batch"}</td>
              <td>{tOr(`leaf.kind.${leaf.kind}`, leaf.kind)}</td>
              <td class="mono">{leaf.dtype}</td>
              <td class="mono">({leaf.shape.join(", ")})</td>
              <td class="n">{significant(leaf.minimum)}</td>
              <td class="n">{significant(leaf.mean)}</td>
              <td class="n">{significant(leaf.maximum)}</td>
              <td class="mono quiet">{leaf.sample.slice(0, 48)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {classes.value.length > 0 && <p class="small quiet">{t("batch.classes", { count: classes.value.length })}</p>}
    </div>
  );
}
