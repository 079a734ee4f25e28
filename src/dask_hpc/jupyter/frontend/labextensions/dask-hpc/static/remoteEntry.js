// Says in JupyterLab what our server has to say, once: that its job ends soon.
//
// It is what JupyterLab makes of an extension (a container of module federation), written by hand:
// it needs none of JupyterLab's modules, and nothing has to be built.
"use strict";

(() => {
  const EVERY = 20000; // milliseconds between two questions
  const { baseUrl } = JSON.parse(document.getElementById("jupyter-config-data").textContent);
  let said = "";

  async function look(app) {
    const answer = await fetch(`${baseUrl}dask-hpc/notice`);
    const notice = answer.ok ? await answer.json() : {};
    if (!notice.id || notice.id === said) {
      return;
    }
    said = notice.id;
    await app.commands.execute("apputils:notify", {
      message: notice.words,
      type: notice.kind,
      options: { autoClose: false },
    });
  }

  const plugin = {
    id: "dask-hpc:notice",
    description: "Says that the job of this JupyterLab ends soon.",
    autoStart: true,
    activate: (app) => {
      // A server that does not answer for a while is JupyterLab's own matter.
      const again = () => look(app).catch((error) => console.debug("dask-hpc:", error));
      app.restored.then(again);
      setInterval(again, EVERY);
    },
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["dask-hpc"] = {
    init: () => {},
    get: async () => () => ({ __esModule: true, default: plugin }),
  };
})();
