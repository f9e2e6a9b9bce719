/** The bar on top: the name, the three views, the connection, language, theme and help. */
import { t, type Key } from "./i18n";
import { Icon } from "./parts/icon";
import { link } from "./store/live";
import { LANGUAGES, THEMES, VIEWS, type Theme } from "./store/page-state";
import { language, theme } from "./store/preferences";
import { entry } from "./store/session";
import { view } from "./store/url";

const THEME_ICON = { system: "screen", light: "sun", dark: "moon" } as const;

export function Header({ onHelp }: { readonly onHelp: () => void }) {
  const inside = entry.value === "in";
  return (
    <header class="header">
      <div class="wordmark">
        <Mark />
        <span>Loaderscope</span>
      </div>
      {inside && (
        <nav class="tabs" aria-label={t("nav.title")}>
          {VIEWS.map((name) => (
            <button key={name} type="button" aria-current={view.value === name ? "page" : undefined} onClick={() => (view.value = name)}>
              {t(`nav.${name}` as Key)}
            </button>
          ))}
        </nav>
      )}
      <div class="end">
        {inside && (
          <span class={`link-state${link.value.phase === "open" ? "" : " off"}`}>
            <span>{t(link.value.phase === "open" ? "link.open" : "link.lost")}</span>
          </span>
        )}
        <button type="button" class="button bare compact" title={t("language.switch")} onClick={switchLanguage}>
          <span class="spoken">{t("language.switch")}</span>
          <span aria-hidden="true">{language.value.toUpperCase()}</span>
        </button>
        <button
          type="button"
          class="button bare compact icon"
          title={t(`theme.${theme.value}` as Key)}
          aria-label={t(`theme.${theme.value}` as Key)}
          onClick={switchTheme}
        >
          <Icon name={THEME_ICON[theme.value]} />
        </button>
        {inside && (
          <button type="button" class="button bare compact icon help-button" title={`${t("help.title")} (?)`} aria-label={t("help.title")} onClick={onHelp}>
            <Icon name="help" />
          </button>
        )}
      </div>
    </header>
  );
}

function switchLanguage(): void {
  language.value = LANGUAGES[(LANGUAGES.indexOf(language.value) + 1) % LANGUAGES.length]!;
}

function switchTheme(): void {
  const next: Theme = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!;
  theme.value = next;
}

function Mark() {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="var(--accent)" />
      <path d="M4 20h5v-8h6v8h4v-4h4v4h5" fill="none" stroke="var(--on-accent)" stroke-width="2.5" stroke-linejoin="round" stroke-linecap="round" />
    </svg>
  );
}
