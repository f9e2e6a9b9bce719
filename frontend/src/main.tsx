/** The page's beginning: preferences, the first picture, then who we are, then the connection. */
import { effect } from "@preact/signals";
import { render } from "preact";
import { App } from "./app";
import { connect } from "./store/live";
import { keepPast } from "./store/past";
import { readPageState } from "./store/page-state";
import { applyPreferences } from "./store/preferences";
import { openRunId, run } from "./store/run";
import { enter, entry } from "./store/session";
import { keepAddress } from "./store/url";
import { runName } from "./words";
import "./style/tokens.css";
import "./style/base.css";
import "./style/parts.css";
import "./style/layout.css";
import "./style/timeline.css";
import "./style/explore.css";
import "./style/sweep.css";
import "./style/comparison.css";
import "./style/diagnose.css";
import "./style/diagnosis.css";
import "./style/verdict.css";
import "./style/evidence.css";

applyPreferences();
openRunId.value = readPageState(location.search).run;
effect(() => {
  document.title = run.value ? `${runName(run.value)} · Loaderscope` : "Loaderscope";
});
render(<App />, document.getElementById("app")!);

void enter();
// The address with the token may be opened in this very tab: then only its fragment changes.
addEventListener("hashchange", () => entry.value !== "in" && void enter());
let connected = false;
effect(() => {
  if (entry.value !== "in" || connected) return;
  connected = true;
  keepAddress();
  keepPast();
  connect();
});
