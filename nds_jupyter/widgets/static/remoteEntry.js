// The container that JupyterLab asks for its extension; written by hand, since there is nothing to build.
(() => {
  const here = document.currentScript.src;
  let shared = {};
  // A container that starts on the browser's own machine may cut a request off: it is made again.
  const load = (again) =>
    import(new URL("./labextension.js", here).href).catch((error) => {
      if (!again) throw error;
      return new Promise((resolve) => setTimeout(resolve, 500)).then(() => load(again - 1));
    });
  const modules = {
    "./extension": () => load(3).then((module) => module.plugins(shared)),
  };
  window._JUPYTERLAB ??= {};
  window._JUPYTERLAB["nds-jupyter"] = {
    init(scope) {
      shared = scope;
    },
    async get(name) {
      const plugins = await modules[name]();
      return () => ({ __esModule: true, default: plugins });
    },
  };
})();
