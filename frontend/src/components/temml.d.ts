// The package has types, but its "exports" hides them from a module.
declare module "temml" {
  export interface Options {
    readonly displayMode?: boolean;
    readonly throwOnError?: boolean;
    readonly trust?: boolean;
    readonly strict?: boolean;
    readonly maxSize?: readonly [number, number];
    readonly maxExpand?: number;
  }
  const temml: { render(formula: string, box: HTMLElement, options?: Options): void };
  export default temml;
}
