// Bundles every page script, judgement script and the style sheet into static/frontend/build/.
// Entry points are found by folder, so a new page or kind of judgement needs no change here.
import { globSync, renameSync, rmSync } from "node:fs";
import { build, context } from "esbuild";

const OUT = "static/frontend/build";

const options = {
  entryPoints: [
    ...globSync("src/{pages,judgements}/*.ts").filter((path) => !path.endsWith(".test.ts")),
    { in: "styles/main.css", out: "main" },
  ].map((entry) => (typeof entry === "string" ? { in: entry, out: entry.slice(4, -3) } : entry)),
  outdir: OUT,
  bundle: true,
  format: "esm",
  // What import() names becomes a file of its own, loaded when a page first needs it.
  splitting: true,
  // markdown-it's table of names, which the browser has.
  alias: { entities: "./src/components/entities.ts" },
  chunkNames: "chunks/[name]-[hash]",
  target: ["es2022", "chrome111", "firefox113", "safari16.5"],
  minify: true,
  // Tables of signs as they are, not as escapes of six characters each.
  charset: "utf8",
  sourcemap: false,
  legalComments: "inline",
  logLevel: "warning",
};

if (process.argv.includes("--watch")) {
  await (await context(options)).watch();
} else {
  const started = performance.now();
  // Aside and then in place: a build that fails leaves the last good one.
  const aside = `${OUT}.${process.pid}`;
  await build({ ...options, outdir: aside });
  rmSync(OUT, { recursive: true, force: true });
  renameSync(aside, OUT);
  const elapsed = Math.round(performance.now() - started);
  console.log(`Built ${options.entryPoints.length} front-end bundles in ${elapsed} ms.`);
}
