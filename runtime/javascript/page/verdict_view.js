// The verdict on this browser, as the HTML report shows it below its first line: a card for each runner, the outputs.

import { VERDICTS } from "../src/verdict/verdict_table.js";
import { byId, download, make, named } from "./elements.js";
import { blame, mark, multiple, outcome, ranked, untriedWords } from "./report_words.js";

const ROWS = 12;
const MEANING =
  "A drift and what was inherited are multiples (×) of float32's own error: how far eager PyTorch in float32 is off from " +
  "float64 at that output. What an operation introduced is a multiple of what its arithmetic may lose: machine epsilon " +
  "times the size of the numbers that it adds up or passes through.";

/** @param {(backend: string) => Promise<any>} check runs and judges there; a report, as `verify --json` writes it */
export function listenForVerdict(check) {
  const [button, headline, place] = [byId("judge"), byId("headline"), byId("report")];
  button.addEventListener("click", async () => {
    if (button.ariaDisabled === "true") return; // not disabled: it would lose the keyboard's focus
    button.ariaDisabled = "true";
    headline.classList.remove("problem");
    headline.textContent = "Running the recorded input, and judging each operation …";
    place.replaceChildren();
    try {
      const report = await check(byId("check-backend").value);
      headline.textContent = report.headline;
      showVerdict(place, report);
    } catch (error) {
      headline.classList.add("problem");
      headline.textContent = error instanceof Error ? error.message : String(error);
    } finally {
      button.ariaDisabled = "false";
    }
  });
}

/**
 * @param {HTMLElement} place
 * @param {any} report as `verify --json` writes it
 */
function showVerdict(place, report) {
  const save = make("button", { type: "button", textContent: "Save the report (JSON)" });
  save.addEventListener("click", () =>
    download(new Blob([JSON.stringify(report, null, 1)], { type: "application/json" }), "report.json"),
  );
  const untried = untriedWords(report.untried);
  place.replaceChildren(
    make(
      "div",
      { className: "cards" },
      report.runners.map((/** @type {any} */ runner) => card(runner)),
    ),
    ...Object.entries(report.left_out).map(([name, why]) =>
      make("p", { className: "soft", textContent: `${name} is left out: ${why}` }),
    ),
    ...(untried ? [make("p", { textContent: untried })] : []),
    make("p", { className: "soft", textContent: MEANING }),
    save,
  );
  byId("check").scrollIntoView({ block: "nearest" });
}

/** @param {any} runner */
function card(runner) {
  const facts = Object.entries({ providers: runner.providers.join(", "), ...runner.facts });
  const not = Object.entries(runner.not_recomputed ?? {});
  const left = not.length
    ? `Judged by the truth alone, as float64 can't compute them here: ${not.map(([name, why]) => `${name} (${why})`).join("; ")}.`
    : "";
  return make("section", { className: "card" }, [
    make("h3", {}, [runner.name, " ", badge(runner.verdict)]),
    make("p", { textContent: `${outcome(runner, (verdict) => VERDICTS[verdict].fails)}.` }),
    ...[blame(runner), left].filter(Boolean).map((text) => make("p", { textContent: text })),
    table(runner),
    make("details", {}, [
      make("summary", { textContent: "Settings and device" }),
      make(
        "dl",
        {},
        facts.flatMap(([name, value]) => [
          make("dt", { textContent: name }),
          make("dd", { textContent: String(value) }),
        ]),
      ),
    ]),
  ]);
}

/** @param {any} runner */
function table(runner) {
  const heads = ["output", "verdict", "drift ×", "introduced ×", "inherited ×"];
  const rows = ranked(runner)
    .slice(0, ROWS)
    .map((found) =>
      make("tr", {}, [
        make("th", { scope: "row" }, [named(found.name, "")]),
        make("td", {}, [badge(found.verdict, mark(runner, found))]),
        ...[found.drift, found.introduced, found.inherited].map((value) =>
          make("td", { className: "number", textContent: multiple(value) }),
        ),
      ]),
    );
  return make(
    "div",
    { className: "scroll", tabIndex: 0, role: "region", "aria-label": `Outputs of ${runner.name}, worst first` },
    [
      make("table", {}, [
        make("caption", {
          textContent: `Worst first${runner.outputs.length > ROWS ? `, ${ROWS} of ${runner.outputs.length}` : ""}`,
        }),
        make("thead", {}, [
          make(
            "tr",
            {},
            heads.map((head) => make("th", { scope: "col", textContent: head })),
          ),
        ]),
        make("tbody", {}, rows),
      ]),
    ],
  );
}

/**
 * A verdict as a label: colour, sign and word.
 * @param {import("../src/verdict/verdict_table.js").Verdict} verdict
 * @param {string} [word]
 */
function badge(verdict, word = verdict) {
  const { tone, sign } = VERDICTS[verdict];
  return make("span", { className: `badge ${tone}`, textContent: `${sign} ${word}` });
}
