/** Icons of the extension's tabs, as JupyterLab wants its own: `jp-icon3` lets the theme colour them. */

export const LAB_ICONS = {
  jobs: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161"><path d="M3 4h18v4H3zM3 10h11v4H3zM3 16h7v4H3z"/><path d="M16 11.5 22 16l-6 4.5z"/></g></svg>`,
  data: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161"><path d="M12 3c4.4 0 8 1.3 8 3s-3.6 3-8 3-8-1.3-8-3 3.6-3 8-3z"/><path d="M4 8.5c1.5 1.2 4.5 2 8 2s6.5-.8 8-2V12c0 1.7-3.6 3-8 3s-8-1.3-8-3z"/><path d="M4 14.5c1.5 1.2 4.5 2 8 2s6.5-.8 8-2V18c0 1.7-3.6 3-8 3s-8-1.3-8-3z"/></g></svg>`,
};
