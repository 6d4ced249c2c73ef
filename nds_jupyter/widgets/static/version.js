/** The package's version, as `nds_jupyter/_version.py` has it. */
export const VERSION = "0.1.0";
