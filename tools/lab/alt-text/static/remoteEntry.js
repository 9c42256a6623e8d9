// Gives each image that a cell shows the alt text in the cell's metadata. JupyterLab (4.6) shows images without one, so
// that a screen reader finds nothing; and a figure drawn anew has no alt text in its output, but its cell still does.
// A JupyterLab extension without a build step: this object is what a module federation container is. `make lab` loads it.
(() => {
  const describe = app => {
    for (const panel of app.shell.widgets("main")) {
      for (const cell of panel.content?.widgets ?? []) {
        const alt = cell.model?.getMetadata?.("alt");
        if (!alt) continue;
        for (const image of cell.node.querySelectorAll(".jp-OutputArea-output img:not([alt])")) image.alt = alt;
      }
    }
  };
  const plugin = {
    id: "alt-text:plugin",
    description: "Gives the images of a notebook the alt text of their cell.",
    autoStart: true,
    activate: app => {
      let waiting = false;
      new MutationObserver(() => {
        if (waiting) return; // many changes, one look
        waiting = true;
        setTimeout(() => { waiting = false; describe(app); }, 100);
      }).observe(document.body, {childList: true, subtree: true});
    },
  };
  window._JUPYTERLAB ??= {};
  window._JUPYTERLAB["alt-text"] = {init: () => {}, get: () => Promise.resolve(() => ({__esModule: true, default: plugin}))};
})();
