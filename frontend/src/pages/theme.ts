// Light, dark or as the system has it. In the head of every page, before anything is drawn, so that
// no page flashes in the wrong colors; therefore one block that imports nothing.
{
  const NAME = "preferendum:theme";
  const CHOICES = new Set(["light", "dark"]);

  const apply = (theme: string): void => {
    if (CHOICES.has(theme)) document.documentElement.dataset["theme"] = theme;
    else delete document.documentElement.dataset["theme"];
  };

  const stored = (): string => {
    try {
      return localStorage.getItem(NAME) ?? "";
    } catch {
      return "";
    }
  };

  const store = (theme: string): void => {
    try {
      localStorage.setItem(NAME, theme);
    } catch {
      // Private windows may refuse: then the choice holds for this page.
    }
  };

  const draw = (): void => {
    const theme = document.documentElement.dataset["theme"] ?? "system";
    for (const button of document.querySelectorAll<HTMLElement>("[data-set-theme]")) {
      button.setAttribute("aria-pressed", String(button.dataset["setTheme"] === theme));
    }
  };

  apply(stored());
  addEventListener("storage", (event) => {
    if (event.key !== NAME) return;
    apply(stored());
    draw();
  });
  document.addEventListener("DOMContentLoaded", draw);
  document.addEventListener("click", (event) => {
    const target = event.target as HTMLElement;
    const theme = target.closest<HTMLElement>("[data-set-theme]")?.dataset["setTheme"];
    if (theme === undefined) return;
    store(theme);
    apply(theme);
    draw();
  });
}
