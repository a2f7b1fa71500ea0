/** @file How large circuits are taken to be before scores are known. */

/** Share of an SAE's features that a threshold circuit or its complement encodes at a site. */
export const KEPT_COLUMNS = 0.1;
/** Share of the error nodes that thresholds keep, over all of a sweep's: errors score higher than most features. */
export const KEPT_ERRORS = 0.5;
