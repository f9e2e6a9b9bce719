import { t } from "../i18n";
import { dismiss, toasts } from "../store/messages";
import { Icon } from "./icon";

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, tone, text, action }) => (
        <div key={id} class={`floating toast ${tone}`}>
          <p>{text}</p>
          {action && (
            <button type="button" class="button compact" onClick={action.run}>
              {action.label}
            </button>
          )}
          <button type="button" class="button bare compact icon" aria-label={t("toast.dismiss")} onClick={() => dismiss(id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
