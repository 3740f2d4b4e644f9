// The curves of a run, one small chart for each metric, growing while the run goes on.
import uPlot from "uplot";

import { el, find } from "../components/dom.ts";
import { poll } from "../components/poll.ts";

const EVERY_MS = 2_000;
const HEIGHT = 180;

type Curves = Readonly<Record<string, readonly (readonly [number, number])[]>>;

class CurveBox {
  readonly #box = find("[data-curves]");
  readonly #plots = new Map<string, uPlot>();

  async refresh(): Promise<void> {
    const response = await fetch(this.#box.dataset["curves"] ?? "");
    if (!response.ok || response.redirected) throw new Error(`status ${response.status}`);
    const curves = (await response.json()) as Curves;
    for (const [name, points] of Object.entries(curves)) {
      // One point is a number, not a curve; the page shows it among the results.
      if (points.length > 1) this.#draw(name, points);
    }
    find("[data-curves-empty]").hidden = this.#plots.size > 0;
  }

  fit(): void {
    for (const plot of this.#plots.values()) {
      const width = plot.root.parentElement?.clientWidth ?? 0;
      if (width && width !== plot.width) plot.setSize({ width, height: HEIGHT });
    }
  }

  #draw(name: string, points: Curves[string]): void {
    const data: uPlot.AlignedData = [points.map(([step]) => step), points.map(([, y]) => y)];
    const known = this.#plots.get(name);
    if (known) known.setData(data);
    else this.#plots.set(name, this.#create(name, data));
  }

  #create(name: string, data: uPlot.AlignedData): uPlot {
    const holder = el("div", { class: "curve-plot" });
    this.#box.append(el("figure", { class: "curve" }, el("figcaption", {}, name), holder));
    return new uPlot(options(holder.clientWidth), data, holder);
  }
}

/** A metric that stays the same up to rounding is drawn as a flat line, not as its rounding. */
function valueRange(low: number, high: number): uPlot.Range.MinMax {
  const isFlat = high - low <= 1e-6 * Math.max(Math.abs(low), Math.abs(high));
  return isFlat ? [low - 0.5, high + 0.5] : uPlot.rangeNum(low, high, 0.1, true);
}

function options(width: number): uPlot.Options {
  const token = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name);
  const axis: uPlot.Axis = {
    stroke: token("--ink-3"),
    font: `11px ${token("--sans")}`,
    grid: { stroke: token("--line"), width: 1 },
    ticks: { show: false },
  };
  const compact = (value: number) => value.toLocaleString("en", { maximumSignificantDigits: 4 });
  return {
    width,
    height: HEIGHT,
    scales: { x: { time: false }, y: { range: (_, low, high) => valueRange(low, high) } },
    axes: [{ ...axis, size: 28 }, { ...axis, size: 56, values: (_, ticks) => ticks.map(compact) }],
    series: [
      { label: "step" },
      {
        label: "value",
        stroke: token("--accent"),
        width: 2,
        points: { size: 5 },
        value: (_, value) => (value === null ? "–" : compact(value)),
      },
    ],
  };
}

const box = new CurveBox();
const active = find("[data-curves]").hasAttribute("data-active");
void box.refresh().catch(() => undefined);
if (active) {
  poll(EVERY_MS, async () => {
    await box.refresh();
    return true;
  });
}
window.addEventListener("resize", () => box.fit());
