// The container that JupyterLab asks for its extension; written by hand, since there is nothing to build.
(() => {
  const here = document.currentScript.src;
  let shared = {};
  const modules = {
    "./extension": () => import(new URL("./lab.js", here).href).then((module) => module.plugins(shared)),
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
