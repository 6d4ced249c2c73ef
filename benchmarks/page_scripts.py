"""What runs in a page that is measured."""

RUN = """async ([command, args]) => {
  await jupyterapp.commands.execute(command, args);
}"""

LONG_TASKS = """() => {
  window.longTasks = [];
  const began = performance.now();
  const take = (list) => {
    for (const { startTime, duration } of list) {
      if (startTime >= began) window.longTasks.push(duration);
    }
  };
  window.longTaskObserver?.disconnect();
  window.longTaskObserver = new PerformanceObserver((list) => take(list.getEntries()));
  window.longTaskObserver.observe({type: "longtask", buffered: true});
  window.takeLongTasks = () => {
    take(window.longTaskObserver.takeRecords());
    return window.longTasks;
  };
}"""
"""Note the tasks over 50 ms that begin from now on; none is missed while the page is busy."""

EMPTY_TAB = """async () => {
  const { shell } = jupyterapp;
  let Widget = shell.constructor;
  while (Object.getPrototypeOf(Widget).prototype) Widget = Object.getPrototypeOf(Widget);
  const widget = new Widget();
  widget.id = "an-empty-tab";
  widget.title.label = "empty";
  shell.add(widget, "main");
  shell.activateById(widget.id);
  await new Promise((resolve) => setTimeout(resolve, 1000));
}"""
"""Open a tab of JupyterLab's with nothing in it."""

LATENCY = """() => {
  window.latencies = [];
  const seen = new Set();
  const look = () => {
    for (const row of document.querySelectorAll(".nds-log-text")) {
      const at = /^at ([\\d.]+)$/.exec(row.textContent)?.[1];
      if (!at || seen.has(at)) continue;
      seen.add(at);
      window.latencies.push(Date.now() - Number(at) * 1000);
    }
    requestAnimationFrame(look);
  };
  look();
}"""

SCROLL = """async (frames) => {
  const rows = document.querySelector(".nds-jobs .nds-table-rows");
  const frame = () => new Promise(requestAnimationFrame);
  const taken = [];
  await frame();
  for (let last = await frame(); taken.length < frames; ) {
    rows.scrollTop += rows.scrollHeight / frames;
    const now = await frame();
    taken.push(now - last);
    last = now;
  }
  return taken;
}"""

OPEN = """async () => {
  const panel = document.querySelector(".nds-data");
  const frame = () => new Promise(requestAnimationFrame);
  const buttons = () => [...panel.querySelectorAll("button")];
  const big = () => buttons().find(({ textContent }) => textContent === "big");
  while (!big()) await frame();
  const began = performance.now();
  big().click();
  const rows = panel.querySelector(".nds-table-rows");
  while (!rows.textContent.includes("entry-000000")) await frame();
  // The frame after the one that drew it begins when it was painted.
  await frame();
  const taken = performance.now() - began;
  panel.querySelector('[aria-label="Up to the parent collection"]').click();
  return taken / 1000;
}"""
