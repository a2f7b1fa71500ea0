/** @file The page's style sheet: system fonts, two colour schemes, one column that breathes. */

/** CSS of report.html. */
export const STYLE = `
:root{color-scheme:light dark;--ink:#1f2430;--soft:#5b6472;--line:#dfe2e7;--surface:#fff;--raised:#f6f7f9;--link:#2f62b8;--warn:#9a4a12;--warn-surface:#fdf3ea}
@media(prefers-color-scheme:dark){:root{--ink:#e4e6eb;--soft:#9aa3b2;--line:#2c323c;--surface:#14171c;--raised:#1b1f26;--link:#86b1f5;--warn:#f0a76b;--warn-surface:#2b2118}}
*{box-sizing:border-box}
html{scroll-padding-top:1.5rem;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--surface);color:var(--ink);font:16px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums;display:grid;grid-template-columns:minmax(0,1fr);padding:0 1.25rem 6rem}
main{width:100%;max-width:60rem;margin:0 auto;min-width:0}
nav{font-size:.85rem;border-bottom:1px solid var(--line);padding:1rem 0;max-width:60rem;width:100%;margin:0 auto}
nav p{margin:0 0 .4rem;color:var(--soft)}
nav ol{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem}
nav a{color:var(--soft);text-decoration:none}
nav a:hover,nav a:focus{color:var(--link);text-decoration:underline}
@media(min-width:78rem){
body{grid-template-columns:13rem minmax(0,1fr);column-gap:2.5rem;padding:0 2.5rem 6rem}
nav{position:sticky;top:0;align-self:start;max-height:100vh;overflow:auto;border:0;padding:4.5rem 0 2rem;margin:0}
nav ol{display:block}
nav li{margin:.38rem 0;line-height:1.35}
main{margin:0 auto 0 0}}
header{padding:3.2rem 0 1rem}
.eyebrow{margin:0;color:var(--soft);font-size:.85rem}
h1{font-size:2rem;line-height:1.2;font-weight:650;letter-spacing:-.015em;margin:.2rem 0 1rem;overflow-wrap:anywhere}
h2{font-size:1.35rem;line-height:1.3;font-weight:650;letter-spacing:-.01em;margin:0 0 .8rem}
h2 a{color:inherit;text-decoration:none}
h2 a:hover::after{content:" #";color:var(--soft)}
h3{font-size:1rem;line-height:1.4;font-weight:650;margin:0 0 .5rem}
h4{font-size:.85rem;font-weight:600;margin:0}
p{margin:0 0 .8rem;max-width:44rem}
a{color:var(--link)}
code{font:.85em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
strong{font-weight:650}
.question{font-size:1.05rem;color:var(--soft)}
.answers p{font-size:1.12rem;line-height:1.6;max-width:46rem}
.numbers{display:flex;flex-wrap:wrap;gap:.6rem 2.2rem;margin:1.6rem 0 0;padding:1rem 0 0;border-top:1px solid var(--line)}
.numbers div{display:flex;flex-direction:column-reverse}
.numbers dt{font-size:.8rem;color:var(--soft)}
.numbers dd{margin:0;font-size:1.25rem;font-weight:600}
.banner{background:var(--warn-surface);border-left:3px solid var(--warn);padding:.8rem 1rem;margin:0 0 1.2rem;max-width:46rem}
.banner p{margin:0 0 .3rem}
.banner ul{margin:.2rem 0 0;padding-left:1.2rem;font-size:.9rem}
header .scroll{margin:1.6rem 0 0}
section{padding:2.4rem 0 0;margin-top:2rem;border-top:1px solid var(--line)}
ul.absent{padding-left:1.2rem;margin:0}
.absent,.note{color:var(--soft);font-size:.92rem}
figure{margin:0 0 2.6rem}
figure svg{display:block;max-width:100%;height:auto;overflow:visible}
figure .legend{margin:0 0 .9rem;overflow:hidden}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,15rem),1fr));gap:1.2rem 1.4rem}
.panel{max-width:calc(var(--width)*1.15);min-width:0}
.panel svg{width:100%;margin-top:.3rem}.many .panel svg{content-visibility:auto}
.panel p{margin:0;font-size:.8rem;line-height:1.45;color:var(--soft);white-space:pre-wrap}
@media(min-width:60rem){.panels{grid-template-columns:repeat(var(--columns),minmax(0,calc(var(--width)*1.15)))}}
figcaption{margin-top:.9rem;font-size:.88rem;line-height:1.55;color:var(--soft);max-width:46rem}
.files{white-space:nowrap;margin-left:.3rem}
.files a{margin-right:.4rem}
.scroll{overflow-x:auto;margin:0 0 1.8rem}
table{border-collapse:collapse;font-size:.85rem;line-height:1.4}
caption{text-align:left;font-weight:600;padding:0 0 .5rem}
th{max-width:8.5rem;white-space:normal!important;font-weight:600;color:var(--soft);vertical-align:bottom;border-bottom:1px solid var(--ink);padding:.3rem 1.1rem .3rem 0}
td{vertical-align:top;border-bottom:1px solid var(--line);padding:.35rem 1.1rem .35rem 0}
th:last-child,td:last-child{padding-right:.2rem}
.number{text-align:right;white-space:nowrap}
.text{text-align:left}
td.text{min-width:5.5rem}
td.text:first-child{min-width:9rem}
.sub{display:block;color:var(--soft);font-size:.92em}
details{margin:0 0 1.8rem}
summary{cursor:pointer;color:var(--link);margin-bottom:.6rem}
dl.facts,dl.definitions{display:grid;grid-template-columns:minmax(7rem,11rem) minmax(0,1fr);gap:.55rem 1.2rem;font-size:.9rem;max-width:52rem;margin:0 0 1.8rem}
dl.facts dt,dl.definitions dt{font-weight:600}
dl.facts dd,dl.definitions dd{margin:0;overflow-wrap:anywhere}
.line{display:block}
@media(max-width:34rem){dl.facts,dl.definitions{grid-template-columns:minmax(0,1fr);gap:.1rem}dl.facts dd,dl.definitions dd{margin-bottom:.6rem}header{padding-top:1.6rem}h1{font-size:1.6rem}}
svg [hidden]{display:none}
svg[tabindex]:focus-visible,.scroll:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.lit{pointer-events:none}
.lit circle{fill:none;stroke:currentColor;stroke-width:1.5}
.lit .kept{stroke-width:2.6}
.place{cursor:pointer}
.place.hovered{stroke:currentColor;stroke-width:1.5;stroke-opacity:1}
.place.kept{stroke:currentColor;stroke-width:2.6;stroke-opacity:1}
.axes{border:0;margin:0 0 .8rem;padding:0;font-size:.85rem;display:flex;gap:.2rem 1rem;flex-wrap:wrap}
.axes legend{float:left;color:var(--soft);padding:0;margin-right:1rem}
.fields{display:flex;flex-wrap:wrap;gap:.7rem 1rem;align-items:end;margin:0 0 .8rem}
.fields label{display:flex;flex-direction:column;font-size:.8rem;color:var(--soft);min-width:0}
input,select,.fields button{font:inherit;font-size:.9rem;color:var(--ink);background:var(--surface);border:1px solid var(--soft);border-radius:4px;padding:.25rem .4rem;max-width:100%}
.fields input[type=number]{width:6.5rem}
button.sort,button.node{font:inherit;color:inherit;background:none;border:0;padding:0;text-align:inherit;cursor:pointer}
button.sort:hover,button.node{color:var(--link)}
button.node{text-decoration:underline;text-underline-offset:2px}
button.node[aria-pressed=true]{font-weight:650}
[aria-sort] button.sort{color:var(--ink)}
[aria-sort=ascending] button.sort::after{content:" ↑"}
[aria-sort=descending] button.sort::after{content:" ↓"}
.lit-row td{background:var(--raised)}
.tip,.card{position:fixed;z-index:2;background:var(--raised);color:var(--ink);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem;font-size:.82rem;line-height:1.45;max-width:min(22rem,calc(100vw - 1rem));box-shadow:0 2px 10px rgb(0 0 0/.18)}
.tip{pointer-events:none}
.card{right:.6rem;bottom:.6rem;max-height:60vh;overflow:auto;border-color:var(--soft)}
.card>button{float:right;font:inherit;font-size:1.1rem;line-height:1;color:inherit;background:none;border:0;cursor:pointer;padding:.1rem .3rem}
.tip p,.card p{margin:0 0 .35rem}
.tip dl,.card dl{display:grid;grid-template-columns:auto auto;gap:.05rem .8rem;margin:0 0 .35rem}
.tip dt,.card dt{color:var(--soft)}
.tip dd,.card dd{margin:0;text-align:right}
.card details{margin:0}
.card ol{margin:0 0 .35rem;padding-left:1.2rem}
.tip small,.card small,.small,.cell{color:var(--soft);font-size:.92em}
@media print{.many .panel svg{content-visibility:visible}nav,form,.axes,.tip,.card,#ask{display:none}.panel{break-inside:avoid}section{break-inside:avoid-page}.scroll{overflow:visible}}
`;
