/** All controls, in the order in which a batch travels: data, loader, what slows it, who consumes it, what is recorded. */
import type { ComponentChildren } from "preact";
import { t, tOr, type Key } from "../i18n";
import { bytes, joined, number } from "../i18n/format";
import { language } from "../store/preferences";
import { capabilities, datasets } from "../store/session";
import { settings } from "../store/settings";
import type { SettingName } from "../store/settings-table";
import { hidden } from "../store/url";
import type { Segment } from "../parts/segments";
import type { DatasetInfo } from "../wire";
import { FlagControl, NumberControl, SegmentControl, SelectControl, TextControl } from "./control";
import { STOPS, workerStops } from "./scales";

const GROUPS = ["dataset", "loader", "more", "slow", "consumer", "recording"] as const;
type GroupName = (typeof GROUPS)[number];

export function ControlPanel() {
  return (
    <>
      {GROUPS.filter((name) => !hidden.value.includes(name)).map((name) => (
        <Group key={name} name={name} folded={name === "more" || name === "recording"}>
          {CONTENTS[name]()}
        </Group>
      ))}
    </>
  );
}

function Group({ name, folded, children }: { readonly name: GroupName; readonly folded: boolean; readonly children: ComponentChildren }) {
  const title = t(`group.${name}` as Key);
  if (folded) {
    return (
      <details class="group">
        <summary>{title}</summary>
        {children}
      </details>
    );
  }
  return (
    <section class="group" aria-label={title}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

const CONTENTS: Readonly<Record<GroupName, () => ComponentChildren>> = {
  dataset: () => {
    const chosen = datasets.value.find(({ id }) => id === settings.value.dataset);
    return (
      <>
        <SelectControl name="dataset" options={datasets.value.map(asOption)} about={chosen && <AboutDataset dataset={chosen} />} />
        {chosen?.kind === "images" && (
          <>
            <NumberControl name="image_size" stops={STOPS.image_size} unit="px" />
            <FlagControl name="augment" />
          </>
        )}
      </>
    );
  },
  loader: () => (
    <>
      <SegmentControl name="engine" options={choices("engine", ["loaderscope", "torch"])} />
      <NumberControl name="batch_size" stops={STOPS.batch_size} />
      <NumberControl name="num_workers" stops={workerStops(maxWorkers())} max={maxWorkers()} />
      <NumberControl name="prefetch_factor" stops={STOPS.prefetch_factor} />
      <FlagControl name="shuffle" />
    </>
  ),
  more: () => (
    <>
      <FlagControl name="persistent_workers" disabled={settings.value.num_workers === 0} />
      <FlagControl name="pin_memory" />
      <FlagControl name="drop_last" />
      <FlagControl name="in_order" />
      {settings.value.engine === "loaderscope" && (
        <SegmentControl name="worker_method" options={choices("worker_method", capabilities.value?.worker_methods ?? ["process"])} />
      )}
      <SelectControl
        name="multiprocessing_context"
        options={choices("multiprocessing_context", ["default", ...(capabilities.value?.contexts ?? []).filter((each) => each !== "default")])}
      />
      <SegmentControl name="collate" options={choices("collate", ["default", "pad"])} />
      <NumberControl name="seed" stops={[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 42]} />
    </>
  ),
  slow: () => (
    <>
      <NumberControl name="dials.storage_latency_ms" stops={STOPS.latency} unit="ms" />
      <NumberControl name="dials.storage_mb_per_s" stops={STOPS.bandwidth} unit="MB/s" />
      <NumberControl name="dials.cpu_ms" stops={STOPS.latency} unit="ms" />
      <NumberControl name="dials.slow_every" stops={STOPS.every} />
      {settings.value.dials.slow_every > 0 && <NumberControl name="dials.slow_ms" stops={STOPS.latency} unit="ms" />}
    </>
  ),
  consumer: () => {
    const trains = datasets.value.find(({ id }) => id === settings.value.dataset)?.trains ?? true;
    const accelerator = capabilities.value?.accelerator;
    return (
      <>
        <SegmentControl
          name="consumer"
          options={choices("consumer", ["train", "step", "none"]).map((option) => ({ ...option, disabled: option.value === "train" && !trains }))}
        />
        {settings.value.consumer === "step" && <NumberControl name="step_ms" stops={STOPS.latency} unit="ms" />}
        <SegmentControl
          name="device"
          options={choices("device", ["none", "simulated", "accelerator"]).map((option) =>
            option.value === "accelerator"
              ? { ...option, label: accelerator?.name ?? option.label, disabled: !accelerator }
              : { ...option, disabled: option.value === "simulated" && settings.value.engine === "torch" },
          )}
          about={settings.value.device === "simulated" ? t("device.simulated_about") : undefined}
        />
        {settings.value.device === "simulated" && <NumberControl name="device_gb_per_s" stops={STOPS.gigabytes} unit="GB/s" />}
      </>
    );
  },
  recording: () => (
    <>
      <NumberControl name="seconds" stops={STOPS.seconds} unit="s" />
      <NumberControl name="epochs" stops={STOPS.epochs} />
      <SegmentControl name="detail" options={choices("detail", ["batch", "sample", "stage"])} />
      <TextControl name="name" />
    </>
  ),
};

function choices(name: SettingName, values: readonly string[]): Segment<string>[] {
  return values.map((value) => ({ value, label: tOr(`choice.${name}.${value}`, value) }));
}

function maxWorkers(): number {
  return capabilities.value?.max_workers ?? 64;
}

function asOption(dataset: DatasetInfo): Segment<string> {
  return { value: dataset.id, label: dataset.title[language.value] };
}

function AboutDataset({ dataset }: { readonly dataset: DatasetInfo }) {
  const facts = [
    dataset.samples === null ? null : t("dataset.samples", { count: number(dataset.samples) }),
    dataset.bytes === null ? null : joined(bytes(dataset.bytes)),
  ].filter((fact) => fact !== null);
  return (
    <>
      {dataset.about[language.value]} {facts.length > 0 && <span>({facts.join(", ")})</span>}
      {dataset.needs_pad && settings.value.collate !== "pad" && <strong> {t("dataset.needs_pad")}</strong>}
    </>
  );
}
