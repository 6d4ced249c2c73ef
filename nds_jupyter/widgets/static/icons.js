/** SVG icons of the panels in JupyterLab's manner, coloured by the theme, and those of JupyterLab's sidebars and tabs. */

const SVG = "http://www.w3.org/2000/svg";

const PATHS = {
  add: "M7.2 2h1.6v5.2H14v1.6H8.8V14H7.2V8.8H2V7.2h5.2z",
  back: "M10.8 2.6 12 3.8 7.7 8l4.3 4.2-1.2 1.2L5.3 8z",
  check: "M6.3 11.9 2.6 8.2l1.2-1.2 2.5 2.5 6-6 1.2 1.2z",
  close: "M4 2.8 8 6.8l4-4L13.2 4l-4 4 4 4-1.2 1.2-4-4-4 4L2.8 12l4-4-4-4z",
  collapsed: "M5.5 3.5 10.5 8l-5 4.5z",
  copy: "M2.5 1.5h7v1.4H3.9v7.6H2.5zM5.5 4.5h8v10h-8zM6.9 5.9v7.2h5.2V5.9z",
  down: "M8 12.5 3 7.5l1.1-1.1L7.2 9.5V2h1.6v7.5l3.1-3.1L13 7.5zM3 13.3h10v1.4H3z",
  edit: "M2 11.3 10.3 3l2.7 2.7L4.7 14H2zM11.2 2.1l.9-.9 2.7 2.7-.9.9z",
  error: "M8 1.5 15 14H1zM7.2 6v4h1.6V6zm0 5v1.5h1.6V11z",
  expanded: "M3.5 5.5h9L8 10.5z",
  end: "M8 8 3.5 3.5l1.1-1.1L8 5.8l3.4-3.4 1.1 1.1zM8 13 3.5 8.5l1.1-1.1L8 10.8l3.4-3.4 1.1 1.1z",
  file: "M3.5 1.5h6l3 3v10h-9zM4.9 2.9v10.2h6.2V5.5H8.5V2.9z",
  folder: "M1.5 3h4.8l1.4 1.5h6.8V13h-13zM2.9 5.9v5.7h10.2V5.9z",
  info: "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zm0 1.4a5.1 5.1 0 1 0 0 10.2A5.1 5.1 0 0 0 8 2.9zM7.3 7h1.4v4.5H7.3zm0-2.5h1.4v1.4H7.3z",
  link: "M2.5 2.5h5v1.4H3.9v8.2h8.2V8.5h1.4v5h-11zM9 2.5h4.5V7h-1.4V4.9L7.6 9.4l-1-1 4.5-4.5H9z",
  next: "M8 11 3 6l1.1-1.1L8 8.8l3.9-3.9L13 6z",
  previous: "M8 5l5 5-1.1 1.1L8 7.2l-3.9 3.9L3 10z",
  queued: "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zm0 1.4a5.1 5.1 0 1 0 0 10.2A5.1 5.1 0 0 0 8 2.9zM7.3 4.5h1.4v3.2l2.3 1.4-.7 1.2-3-1.8z",
  refresh: "M8 2.5c1.5 0 2.9.6 3.9 1.6L13.5 2.5v4.7H8.8l2-2A4 4 0 1 0 11.9 9h1.5A5.5 5.5 0 1 1 8 2.5z",
  rerun: "M3 3.5 9.5 8 3 12.5zM9.5 3.5h1.5v9H9.5zM12 3.5h1.5v9H12z",
  running: "M4.5 2.5 13 8l-8.5 5.5z",
  search: "M6.7 2a4.7 4.7 0 0 1 3.7 7.5l3.6 3.6-1 1-3.6-3.6A4.7 4.7 0 1 1 6.7 2zm0 1.4a3.3 3.3 0 1 0 0 6.6 3.3 3.3 0 0 0 0-6.6z",
  stop: "M3.5 3.5h9v9h-9z",
  tag: "M2 2h5.6L14 8.4 8.4 14 2 7.6zM4.7 3.7a1 1 0 1 0 0 2 1 1 0 0 0 0-2z",
  time: "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zm0 1.4a5.1 5.1 0 1 0 0 10.2A5.1 5.1 0 0 0 8 2.9zM7.3 4.5h1.4v3.2l2.3 1.4-.7 1.2-3-1.8z",
  trash: "M6 1.5h4V3h3.5v1.4h-11V3H6zM3.5 5.5h9l-.6 9H4.1zM6 7v6h1.2V7zm2.8 0v6H10V7z",
  unknown: "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zm0 1.4a5.1 5.1 0 1 0 0 10.2A5.1 5.1 0 0 0 8 2.9zM7.3 10.5h1.4v1.4H7.3zM5.6 6.4C5.6 5 6.6 4 8 4s2.4.9 2.4 2.2c0 1.7-1.7 1.8-1.7 3.3H7.3c0-2.2 1.7-2.3 1.7-3.3 0-.5-.4-.9-1-.9s-1 .4-1 1.1z",
  up: "M8 2.5 13 7.5l-1.1 1.1L8.8 5.5V12H7.2V5.5L4.1 8.6 3 7.5zM3 13.3h10v1.4H3z",
  wrap: "M2 3h12v1.4H2zm0 4.3h9.2a2.6 2.6 0 0 1 0 5.2H9.5v1.6L6.8 11.8l2.7-2.3v1.6h1.7a1.2 1.2 0 0 0 0-2.4H2zM2 11.6h3V13H2z",
};

/** @typedef {keyof typeof PATHS} IconName */

/** Make an icon. @param {IconName} name @returns {SVGSVGElement} */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "nds-icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}

/** Change an icon in place. @param {SVGSVGElement} svg @param {IconName} name */
export function setIcon(svg, name) {
  const path = svg.firstElementChild;
  if (path && path.getAttribute("d") !== PATHS[name]) path.setAttribute("d", PATHS[name]);
}

/** SVG texts as JupyterLab wants its own icons: `jp-icon3` lets the theme colour them. */
export const LAB_ICONS = {
  jobs: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161"><path d="M3 4h18v4H3zM3 10h11v4H3zM3 16h7v4H3z"/><path d="M16 11.5 22 16l-6 4.5z"/></g></svg>`,
  data: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161"><path d="M12 3c4.4 0 8 1.3 8 3s-3.6 3-8 3-8-1.3-8-3 3.6-3 8-3z"/><path d="M4 8.5c1.5 1.2 4.5 2 8 2s6.5-.8 8-2V12c0 1.7-3.6 3-8 3s-8-1.3-8-3z"/><path d="M4 14.5c1.5 1.2 4.5 2 8 2s6.5-.8 8-2V18c0 1.7-3.6 3-8 3s-8-1.3-8-3z"/></g></svg>`,
};
