/** What can be taken along: the link, the trace, the numbers, the picture, the rows. */
import { exportUrl } from "../api";
import { t } from "../i18n";
import { Icon } from "../parts/icon";
import { Menu } from "../parts/menu";
import { downloadCsv, downloadPicture } from "../store/exports";
import { say } from "../store/messages";
import { openRunId } from "../store/run";
import { addressNow } from "../store/url";
import type { Scene } from "../timeline/scene";

export function ExportMenu({ scene }: { readonly scene: () => Scene | null }) {
  const id = openRunId.value;
  return (
    <Menu
      title={t("export.title")}
      label={
        <>
          <Icon name="save" />
          <span class="wide-only">{t("export.title")}</span>
        </>
      }
    >
      <ul>
        <li>
          <a href={exportUrl(id, "perfetto")} download={`${id}.perfetto.json`}>
            {t("export.perfetto")}
            <span>{t("export.perfetto_about")}</span>
          </a>
        </li>
        <li>
          <a href={exportUrl(id, "summary")} download={`${id}.summary.json`}>
            {t("export.summary")}
            <span>{t("export.summary_about")}</span>
          </a>
        </li>
        <li>
          <button type="button" onClick={() => void downloadCsv()}>
            {t("export.csv")}
            <span>{t("export.csv_about")}</span>
          </button>
        </li>
        <li>
          <button type="button" onClick={() => downloadPicture(scene())}>
            {t("export.png")}
            <span>{t("export.png_about")}</span>
          </button>
        </li>
      </ul>
    </Menu>
  );
}

export function CopyLink() {
  const copy = async () => {
    const address = addressNow();
    try {
      await navigator.clipboard.writeText(address);
      say(t("link.copied"));
    } catch {
      say(t("link.here", { address }));
    }
  };
  return (
    <button type="button" class="button bare compact" title={t("link.copy")} aria-label={t("link.copy")} onClick={() => void copy()}>
      <Icon name="link" />
      <span class="wide-only">{t("link.copy")}</span>
    </button>
  );
}
