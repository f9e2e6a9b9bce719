/** Where the reading of samples goes: by the parts that are named, and by the lines of code that were seen at work. */
import { t } from "../../i18n";
import { duration, joined, number, share } from "../../i18n/format";
import { Swatch } from "../../parts/swatch";
import { diagnosis } from "../../store/diagnosis";
import { stagePaint } from "../../timeline/paints";
import type { PlaceShare, StageShare } from "../../wire";
import { NotMeasured, Section } from "./section";
import { stageName } from "./words";

export function Places() {
  const known = diagnosis.value;
  const stages = known?.stages ?? [];
  const places = known?.places ?? null;
  return (
    <Section id="places" title={t("places.title")} about={t("places.about")}>
      <div class="halves">
        <div>
          <h3>{t("places.stages")}</h3>
          {stages.length > 0 && <Stages stages={stages} />}
          <NotMeasured what="stages" />
        </div>
        <div>
          <h3>{t("places.lines")}</h3>
          {places && places.places.length > 0 && (
            <>
              <ol class="places">
                {places.places.map((place) => (
                  <Line key={`${place.place} ${place.function}`} place={place} />
                ))}
              </ol>
              <p class="small quiet">{t("places.seen", { seen: number(places.seen) })}</p>
            </>
          )}
          <NotMeasured what="places" />
        </div>
      </div>
    </Section>
  );
}

function Stages({ stages }: { readonly stages: readonly StageShare[] }) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">{t("budget.part")}</th>
          <th scope="col" class="n">
            {t("budget.share")}
          </th>
          <th scope="col" class="n" title={t("places.median_about")}>
            {t("budget.median")}
          </th>
          <th scope="col" class="n">
            {t("budget.p95")}
          </th>
        </tr>
      </thead>
      <tbody>
        {stages.map((stage) => (
          <tr key={stage.name}>
            <th scope="row">
              <Swatch paint={stagePaint(stage.name)} />
              {stageName(stage.name)}
            </th>
            <td class="n strong">{joined(share(stage.share))}</td>
            <td class="n">{joined(duration(stage.median_ns))}</td>
            <td class="n">{joined(duration(stage.p95_ns))}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Line({ place }: { readonly place: PlaceShare }) {
  const percent = (part: number) => `${part * 100}%`;
  return (
    <li>
      <div class="place-head">
        <strong>{joined(share(place.share))}</strong>
        <span class="mono">{place.place}</span>
        <span class="quiet mono">{place.function}</span>
        <span class="quiet small interval">
          {t("places.interval", { low: joined(share(place.low)), high: joined(share(place.high)) })}
        </span>
      </div>
      {place.source !== "" && <code>{place.source}</code>}
      <div class="meter" aria-hidden="true">
        <span style={{ width: percent(place.share) }} />
        <i style={{ left: percent(place.low), width: percent(place.high - place.low) }} />
      </div>
    </li>
  );
}
