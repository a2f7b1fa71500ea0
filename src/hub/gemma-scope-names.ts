/**
 * @file What is known of Google's published SAEs: repositories, widths, and which SAEs have pages on Neuronpedia.
 * Source: sae_lens/pretrained_saes.yaml of SAELens 6.54.12, field `neuronpedia`. Two of its entries name the page of another layer or
 * L0, and are left out here. test/libraries/published-saes.test.ts compares all of it with the file of an installed SAELens.
 */

/** What SAELens and Neuronpedia call a site. */
export type SiteName = "res" | "mlp" | "att";

/** A repository of Gemma Scope: all of its SAEs sit at one site. */
export interface ScopeRepo {
  /** Neuronpedia's name of the model. */
  readonly model: string;
  /**
   * By width the pages of its SAEs, as `layer:l0` where the page's name has no L0 (there is one such page a layer), and `layer+l0`
   * where it has. A width without pages is a known one.
   */
  readonly pages: Readonly<Record<string, string>>;
}

/** Owner of the repositories. */
export const SCOPE_OWNER = "google";

const SCOPE: Readonly<Record<string, ScopeRepo>> = {
  "gemma-scope-27b-pt-res": {
    model: "gemma-2-27b",
    pages: {
      "131k": "10:106 22:82 34:72",
    },
  },
  "gemma-scope-2b-pt-att": {
    model: "gemma-2-2b",
    pages: {
      "16k": `
        0:104 1:79 2:93 3:117 4:116 5:135 6:61 7:99 8:129 9:127 10:70 11:80 12:85 13:92 14:71 15:98 16:71 17:79
        18:72 19:122 20:62 21:65 22:106 23:73 24:96 25:77`,
      "65k": `
        0:75 1:98 2:125 3:83 4:87 5:99 6:112 7:96 8:112 9:107 10:67 11:75 12:79 13:87 14:66 15:90 16:129 17:70
        18:123 19:106 20:102 21:118 22:112 23:140 24:77 25:63`,
    },
  },
  "gemma-scope-2b-pt-mlp": {
    model: "gemma-2-2b",
    pages: {
      "16k": `
        0:119 1:105 2:95 3:95 4:85 5:114 6:133 7:60 8:136 9:88 10:110 11:98 12:108 13:112 14:97 15:80 16:72 17:68
        18:106 19:109 20:109 21:113 22:121 23:128 24:73 25:126`,
      "65k": `
        0:72 1:127 2:134 3:68 4:66 5:86 6:101 7:115 8:110 9:77 10:95 11:88 12:96 13:98 14:89 15:72 16:66 17:136
        18:88 19:88 20:88 21:86 22:92 23:102 24:128 25:107`,
    },
  },
  "gemma-scope-2b-pt-res": {
    model: "gemma-2-2b",
    pages: {
      "16k": `
        0:105 1:102 2:141 3:59 4:124 5:68 5+18 5+34 5+143 5+309 6:70 7:69 8:71 9:73 10:77 11:80 12:82 12+22 12+41
        12+176 12+445 13:84 14:84 15:78 16:78 17:77 18:74 19:73 19+23 19+40 19+137 19+279 20:71 21:70 22:72 23:75
        24:73 25:116`,
      "32k": "12:76",
      "65k": `
        0:73 1:121 2:77 3:89 4:89 5:105 5+17 5+29 5+53 5+211 6:107 7:107 8:111 9:118 10:128 11:70 12:72 12+21 12+38
        12+141 12+297 13:75 14:73 15:127 16:128 17:125 18:116 19:115 19+21 19+35 19+63 19+216 20:114 21:111 22:116
        23:123 24:124 25:93`,
      "131k": "",
      "262k": "12:121",
      "524k": "12:115",
      "1m": `
        5:114 5+9 5+13 5+21 5+36 5+63 12:107 12+19 12+26 12+58 12+73 12+207 19:88 19+16 19+18 19+29 19+50 19+157`,
    },
  },
  "gemma-scope-9b-it-res": {
    model: "gemma-2-9b-it",
    pages: {
      "16k": "9:88 20:91 31:76",
      "131k": "9:121 20:81 31:109",
    },
  },
  "gemma-scope-9b-pt-att": {
    model: "gemma-2-9b",
    pages: {
      "16k": `
        0:61 1:77 2:69 3:102 4:126 5:125 6:108 7:70 8:65 9:71 10:132 11:67 12:68 13:77 14:81 15:79 16:81 17:110
        18:80 19:86 20:76 21:86 22:70 23:80 24:79 25:73 26:75 27:136 28:71 29:76 30:73 31:73 32:74 33:78 34:91 35:77
        36:69 37:82 38:81 39:77 40:91 41:129`,
      "131k": `
        0:55 1:116 2:135 3:119 4:75 5:78 6:73 7:106 8:98 9:111 10:97 11:104 12:110 13:126 14:131 15:130 16:71 17:90
        18:69 19:71 20:125 21:71 22:115 23:66 24:130 25:115 26:120 27:102 28:115 29:128 30:109 31:117 32:117 33:128
        34:63 35:124 36:105 37:124 38:135 39:120 40:64 41:92`,
    },
  },
  "gemma-scope-9b-pt-mlp": {
    model: "gemma-2-9b",
    pages: {
      "16k": `
        0:50 1:128 1+56 2:81 2+33 3:126 3+55 4:66 5:93 5+46 6:96 6+46 7:101 7+47 8:124 8+55 9:83 10:114 10+49 11:76
        11+34 12:96 12+42 13:94 13+40 14:97 14+41 15:107 15+45 16:91 16+37 17:104 17+41 18:89 18+36 19:98 19+38
        20:108 20+41 21:88 21+34 22:85 22+34 23:73 24:73 24+32 25:72 26:142 26+57 27:126 27+52 28:115 28+50 29:111
        29+49 30:116 30+51 31:94 31+43 32:98 32+44 33:107 33+48 34:107 34+47 35:108 35+46 36:109 36+47 37:119 37+53
        38:98 38+45 39:90 39+43 40:74 40+37 41:126 41+58`,
      "131k": `
        0:30 1:106 2:61 3:109 4:84 5:131 6:72 7:75 8:89 9:129 10:83 11:120 12:77 13:75 14:80 15:89 16:81 17:91 18:82
        19:85 20:93 21:79 22:77 23:67 24:67 25:65 26:110 27:99 28:91 29:87 30:89 31:77 32:76 33:83 34:82 35:80 36:81
        37:90 38:79 39:75 40:125 41:99`,
    },
  },
  "gemma-scope-9b-pt-res": {
    model: "gemma-2-9b",
    pages: {
      "16k": `
        0:129 0+35 1:69 2:67 3:90 3+37 4:91 4+37 5:77 5+37 6:93 6+47 7:92 7+46 8:99 8+51 9:100 9+9 9+16 9+28 9+51
        9+209 10:113 10+57 11:118 11+32 12:130 12+33 13:132 13+34 14:67 14+35 15:131 15+34 16:75 16+39 17:73 17+38
        18:71 18+37 19:132 19+35 20:68 20+11 20+20 20+36 20+58 20+138 20+310 20+408 21:129 21+36 22:123 22+35 23:120
        23+35 24:114 24+34 25:114 25+34 26:116 26+35 27:118 27+36 28:119 28+37 29:119 29+38 30:120 30+37 31:114
        31+11 31+20 31+35 31+63 31+218 32:111 32+34 33:114 33+34 34:114 34+34 35:120 35+34 36:120 36+34 37:124 37+34
        38:128 38+34 39:131 39+34 40:125 40+32 41:113 41+52`,
      "32k": "20:57",
      "65k": "20:55",
      "131k": `
        0:41 0+30 1:56 1+33 2:70 2+36 3:103 3+46 4:101 4+51 5:94 5+51 6:120 6+66 7:119 7+38 8:72 8+41 9:75 9+8 9+14
        9+25 9+42 9+134 10:84 10+47 11:88 11+49 12:96 12+52 13:99 13+30 14:105 14+56 15:103 15+55 16:121 16+35
        17:117 17+35 18:113 18+34 19:110 19+32 20:114 20+11 20+19 20+34 20+53 20+62 20+221 20+276 21:109 21+33
        22:105 22+32 23:101 23+32 24:97 24+55 25:96 25+54 26:97 26+32 27:96 27+33 28:98 28+32 29:97 29+33 30:95
        30+32 31:92 31+10 31+18 31+31 31+52 31+160 32:88 32+51 33:91 33+51 34:89 34+51 35:94 35+51 36:93 36+51 37:96
        37+53 38:101 38+53 39:99 39+54 40:94 40+49 41:84 41+45`,
      "262k": "",
      "524k": "20:48",
      "1m": `
        9:122 9+9 9+14 9+24 9+41 9+70 20:101 20+11 20+19 20+34 20+57 20+193 31:77 31+11 31+25 31+27 31+45 31+132`,
    },
  },
};

/** A repository of Gemma Scope 2: one for each model. */
export interface Scope2Repo {
  /** Neuronpedia's name of the model. */
  readonly model: string;
  /** Widths by site, of the folders that do not end in `_all`. */
  readonly widths: Readonly<Partial<Record<SiteName, readonly string[]>>>;
  /** Layers of these folders. */
  readonly layers: readonly number[];
  /** Widths at `resid_post`, in these layers, whose SAEs of medium L0 have pages. */
  readonly pages: readonly string[];
}

const THREE = ["16k", "65k", "262k"];
const FOUR = [...THREE, "1m"];
const USUAL = { res: FOUR, mlp: THREE, att: THREE };

const SCOPE_2: Readonly<Record<string, Scope2Repo>> = {
  "gemma-scope-2-270m-pt": { model: "gemma-3-270m", widths: USUAL, layers: [5, 9, 12, 15], pages: FOUR },
  "gemma-scope-2-270m-it": { model: "gemma-3-270m-it", widths: USUAL, layers: [5, 9, 12, 15], pages: THREE },
  "gemma-scope-2-1b-pt": { model: "gemma-3-1b", widths: { ...USUAL, mlp: FOUR }, layers: [7, 13, 17, 22], pages: FOUR },
  "gemma-scope-2-1b-it": {
    model: "gemma-3-1b-it",
    widths: { ...USUAL, mlp: FOUR },
    layers: [7, 13, 17, 22],
    pages: THREE,
  },
  "gemma-scope-2-4b-pt": { model: "gemma-3-4b", widths: USUAL, layers: [9, 17, 22, 29], pages: FOUR },
  "gemma-scope-2-4b-it": { model: "gemma-3-4b-it", widths: USUAL, layers: [9, 17, 22, 29], pages: THREE },
  "gemma-scope-2-12b-pt": { model: "gemma-3-12b", widths: USUAL, layers: [12, 24, 31, 41], pages: FOUR },
  "gemma-scope-2-12b-it": { model: "gemma-3-12b-it", widths: USUAL, layers: [12, 24, 31, 41], pages: [] },
  "gemma-scope-2-27b-pt": { model: "gemma-3-27b", widths: { res: FOUR }, layers: [16, 31, 40, 53], pages: [] },
  "gemma-scope-2-27b-it": { model: "gemma-3-27b-it", widths: USUAL, layers: [16, 31, 40, 53], pages: FOUR },
};

/** Repositories of Gemma Scope by name. */
export const GEMMA_SCOPE: ReadonlyMap<string, ScopeRepo> = new Map(Object.entries(SCOPE));

/** Repositories of Gemma Scope 2 by name. */
export const GEMMA_SCOPE_2: ReadonlyMap<string, Scope2Repo> = new Map(Object.entries(SCOPE_2));
