"use strict";
// Only the pairs near the view are drawn, and what leaves it is let go, so that ten thousand of them are no burden.
// A key such as s3 or t0 names a word: its side and its number.

const $ = id => document.getElementById(id);
const facts = JSON.parse($("facts").textContent);
const pairs = $("pairs").textContent.trim().split("\n").filter(Boolean).map(line => JSON.parse(line));
const state = { view: "lines", min: 0, query: "", order: "given", hidden: new Set() };
const NAMES = { both: "both", extra: `only ${facts.ours}`, missing: `only ${facts.theirs}` };
const SVG = "http://www.w3.org/2000/svg";
const drawn = new Map();  // from an article in or near the view to its words, links and marks
const ruler = document.createElement("canvas").getContext("2d");

for (const [place, pair] of pairs.entries()) {
  pair.place = place;
  pair.parts = [pair.source, pair.target];
}

function split(pair) {
  if (pair.source === pair.parts[0]) [pair.source, pair.target] = pair.parts.map(wordsOf);
}

function textOf(pair) { return pair.text ??= fold(pair.parts.map(parts => parts.join("")).join("\n")); }

function wordsOf(parts) {
  const words = [];
  for (let k = 0; k + 1 < parts.length; k += 2) words.push({ gap: parts[k], text: parts[k + 1] });
  return words;
}

function fold(text) { return text.normalize("NFC").toLowerCase(); }

function make(name, attributes = {}, ...children) {
  const element = name in { svg: 1, path: 1, rect: 1, text: 1, g: 1 } ?
    document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// What is to be seen of a link, at the least probability chosen; "" is nothing.

function verdictOf([, , ours, theirs]) {
  const here = ours !== null && ours >= state.min;
  if (!facts.theirs) return here ? "link" : "";
  const there = theirs !== null && (facts.is_gold || theirs >= state.min);
  const unsure = facts.is_gold && !theirs;
  if (here) return !there ? "extra" : unsure ? "allowed" : "both";
  return !there ? "" : unsure ? "possible" : "missing";
}

const kindOf = verdict => ({ allowed: "both", possible: "missing" })[verdict] ?? verdict;

function linksOf(pair) {
  return pair.links.map(link => ({ i: link[0], j: link[1], p: numberOf(link), verdict: verdictOf(link) }))
    .filter(({ verdict }) => verdict && !state.hidden.has(kindOf(verdict)));
}

// The probability of a link; true stands for one that is not known.
function numberOf([, , ours, theirs]) {
  const p = ours ?? (facts.is_gold ? null : theirs);
  return p === true ? null : p;
}

const NONE = { "": 0, link: 0, both: 0, allowed: 0, extra: 0, missing: 0, possible: 0 };

function countLinks() {
  for (const pair of pairs) {
    pair.tally = { ...NONE };
    for (const link of pair.links) pair.tally[verdictOf(link)]++;
  }
}

function errorOf({ both, allowed, extra, missing }) {
  const all = 2 * both + allowed + extra + missing;
  return all ? 1 - (2 * both + allowed) / all : 0;
}

function captionOf(some) {
  const tally = { ...NONE };
  for (const pair of some) for (const verdict in tally) tally[verdict] += pair.tally[verdict];
  if (!facts.theirs) return `${tally.link} links`;
  const allowed = tally.allowed ? ` (${tally.allowed} possible)` : "";
  return `${facts.is_gold ? "AER" : "difference"} ${errorOf(tally).toFixed(3)} · ${tally.both + tally.allowed} both${allowed} · ` +
    `${tally.extra} only here · ${tally.missing} only there`;
}

// Lines: both sentences cut into bands that fit the width, where the fewest links are cut.

function bandsOf(pair, links, room) {
  ruler.font = getComputedStyle(document.body).font;
  const em = ruler.measureText("m").width;
  const widths = side => side.map((word, k) => ruler.measureText(word.text).width + em * .2 + (k && word.gap ? em * .55 : em * .06));
  const src = widths(pair.source), tgt = widths(pair.target), sum = list => list.reduce((a, b) => a + b, 0);
  const suffixes = list => list.reduceRight((sums, width) => [width + sums[0], ...sums], [0]);
  const srcLeft = suffixes(src), tgtLeft = suffixes(tgt);
  const bandsLeft = (a, b) => Math.ceil(Math.max(srcLeft[a], tgtLeft[b]) / room);
  const longest = Math.max(sum(src), sum(tgt));
  room = Math.min(room, 1.15 * longest / Math.ceil(longest / room) + em);
  const bands = [];
  for (let i = 0, j = 0; i < src.length || j < tgt.length;) {
    const iEnd = reach(src, i, room), jEnd = reach(tgt, j, room);
    let best = [iEnd, jEnd], least = Infinity;
    const isLast = iEnd === src.length && jEnd === tgt.length;
    for (let a = iEnd; !isLast && a >= i + (iEnd - i) * .5; a--) {
      for (let b = jEnd; b >= j + (jEnd - j) * .5; b--) {
        if (a === i && b === j) continue;
        const cut = links.filter(link => (link.i >= i || link.j >= j) && (link.i < a) !== (link.j < b)).length;
        const waste = (iEnd - a) / (iEnd - i || 1) + (jEnd - b) / (jEnd - j || 1);
        const cost = cut + 3 * waste + 4 * bandsLeft(a, b);
        if (cost < least) [best, least] = [[a, b], cost];
      }
    }
    bands.push({ i, j, a: best[0], b: best[1], src: sum(src.slice(i, best[0])), tgt: sum(tgt.slice(j, best[1])), em });
    [i, j] = best;
  }
  return bands;
}

function reach(widths, start, room) {
  let end = start, width = 0;
  while (end < widths.length && (end === start || width + widths[end] <= room)) width += widths[end++];
  return end;
}

function rowOf(pair, side, from, to, stretch, em, words) {
  const row = make("div", { class: `row ${side}`, dir: "auto" });
  for (let k = from; k < to; k++) {
    const { gap, text } = pair[side][k], key = side[0] + k;
    const word = make("span", { class: "word", "data-key": key, role: "button", tabindex: -1 }, text);
    if (k > from) word.style.marginInlineStart = gap ? `${em * .55 + stretch}px` : `${em * .06}px`;
    if (gap.trim()) row.append(gap);
    row.append(word);
    words.set(key, word);
  }
  return row;
}

function drawLines(pair, body) {
  const links = linksOf(pair), words = new Map();
  for (const { i, j, a, b, src, tgt, em } of bandsOf(pair, links, body.clientWidth - 8)) {
    const gaps = (side, from, to) => Math.max(1, pair[side].slice(from + 1, to).filter(word => word.gap).length);
    const stretch = (missing, count) => Math.max(0, Math.min(missing / count, 2 * em));
    const band = make("div", { class: "band" }, rowOf(pair, "source", i, a, stretch(tgt - src, gaps("source", i, a)), em, words),
      rowOf(pair, "target", j, b, stretch(src - tgt, gaps("target", j, b)), em, words));
    body.append(band);
  }
  return { links, words };
}

function drawCurves(body, { links, words }) {
  const frame = body.getBoundingClientRect(), svg = make("svg", { class: "curves", "aria-hidden": "true" });
  const boxes = new Map([...words].map(([key, word]) => [key, word.getBoundingClientRect()]));
  for (const link of links) {
    const top = boxes.get("s" + link.i), bottom = boxes.get("t" + link.j), isDown = top.top < bottom.top;
    const x = box => (box.left + box.right) / 2 - frame.left + body.scrollLeft;
    const [x1, x2] = [x(top), x(bottom)];
    const y1 = (isDown ? top.bottom : top.top) - frame.top, y2 = (isDown ? bottom.top : bottom.bottom) - frame.top;
    const bend = (y2 - y1) * .45;
    link.mark = make("path", { class: `link ${link.verdict}`, d: `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}` });
    const p = link.p ?? .8;
    link.mark.style.strokeWidth = link.verdict === "possible" ? 1.2 : .8 + 1.4 * p;
    const isFar = Math.abs(y2 - y1) > 4 * top.height;
    link.mark.style.opacity = (.25 + .65 * p) * (isFar || link.verdict === "possible" ? .5 : 1);
    const at = t => [x1 * (1 - t) ** 2 * (1 + 2 * t) + x2 * t * t * (3 - 2 * t), y1 + (y2 - y1) * (1.35 * t * (1 - t) ** 2 + 1.65 * t * t * (1 - t) + t ** 3)];
    link.at = { s: at(.34), t: at(.66) };
    svg.append(link.mark);
  }
  body.append(svg);
  return svg;
}

// Grid: target words down, source words across.

function drawGrid(pair, body) {
  const links = linksOf(pair), words = new Map(), cell = 24, slope = Math.SQRT1_2;
  ruler.font = getComputedStyle(document.body).font;
  const longest = side => Math.max(0, ...side.map(word => ruler.measureText(word.text).width * .84));
  const left = longest(pair.target) + 14, top = longest(pair.source) * slope + 20;
  const width = cell * pair.source.length, height = cell * pair.target.length;
  const svg = make("svg", { class: "matrix", width: left + width + top + 10, height: top + height + 8 });
  const label = (key, text, at, lane) => {
    const word = make("g", { class: "word", "data-key": key, role: "button", tabindex: -1 },
      make("rect", { class: "lane", ...lane }), make("text", at, text));
    words.set(key, word);
    svg.append(word);
  };
  pair.target.forEach(({ text }, j) => label("t" + j, text, { x: left - 8, y: top + cell * (j + .5), "text-anchor": "end" },
    { x: 0, y: top + cell * j, width: left + width, height: cell }));
  pair.source.forEach(({ text }, i) => label("s" + i, text, { transform: `translate(${left + cell * (i + .5)} ${top - 8}) rotate(-45)` },
    { x: left + cell * i, y: top - 4, width: cell, height: height + 4 }));
  let lines = "";
  for (let i = 0; i <= pair.source.length; i++) lines += `M${left + cell * i} ${top}v${height}`;
  for (let j = 0; j <= pair.target.length; j++) lines += `M${left} ${top + cell * j}h${width}`;
  svg.append(make("path", { class: "lines", d: lines }));
  for (const link of links) {
    const p = link.p ?? .8, size = cell * (.4 + .5 * p), x = left + cell * (link.i + .5), y = top + cell * (link.j + .5);
    link.mark = make("rect", { class: `link ${link.verdict}`, x: x - size / 2, y: y - size / 2, width: size, height: size, rx: 3 });
    link.mark.style.opacity = (.35 + .65 * p) * (link.verdict === "possible" ? .5 : 1);
    link.mark.dataset.key = `s${link.i} t${link.j}`;
    link.at = { s: [x, y], t: [x, y] };
    svg.append(link.mark);
  }
  body.append(svg);
  return { links, words, svg };
}

function draw(articles) {
  for (const article of articles) {
    split(article.pair);
    const body = make("div", { class: "body" });
    article.replaceChildren(headingOf(article.pair), body);
    article.style.height = "";
    drawn.set(article, state.view === "grid" ? drawGrid(article.pair, body) : drawLines(article.pair, body));
  }
  for (const article of articles) {  // after all are laid out, so that each is measured once
    const one = drawn.get(article);
    one.height = article.offsetHeight;
    one.svg ??= drawCurves(article.lastChild, one);
    finish(article, one);
  }
}

function finish(article, { links, words }) {
  const partners = new Map([...words.keys()].map(key => [key, []]));
  for (const { i, j, p, verdict } of links) {
    const number = (p === null ? "" : " " + p.toFixed(2)) + (facts.theirs ? ` (${verdict === "allowed" ? "both, possible" : NAMES[kindOf(verdict)]})` : "");
    partners.get("s" + i).push(isolated(article.pair.target[j].text) + number);
    partners.get("t" + j).push(isolated(article.pair.source[i].text) + number);
  }
  for (const [key, word] of words) {
    const own = article.pair[key[0] === "s" ? "source" : "target"][key.slice(1)].text, to = partners.get(key).join(", ");
    word.setAttribute("aria-label", `${isolated(own)}, ${to ? "linked to " + to : "no link"}`);
    word.classList.toggle("unlinked", !to);
    word.classList.toggle("found", state.query.trim() !== "" && fold(own).includes(state.query.trim()));
  }
}

function isolated(word) { return `\u2068${word}\u2069`; }  // whatever its direction, what follows is as it was

// Light: the links of a word, the words they lead to, and their probabilities.

let pinned = null;

function light(article, keys) {
  for (const each of document.querySelectorAll(".lit")) {
    each.classList.remove("lit");
    each.querySelectorAll(".on, .origin").forEach(element => element.classList.remove("on", "origin"));
    each.querySelectorAll("text.number").forEach(element => element.remove());
  }
  $("status").textContent = "";
  const one = drawn.get(article);
  if (!one || !keys) return;
  article.classList.add("lit");
  for (const key of keys) one.words.get(key)?.classList.add("on", "origin");
  const [first, second] = keys;
  for (const link of one.links) {
    const [s, t] = ["s" + link.i, "t" + link.j];
    if (second ? s !== first || t !== second : s !== first && t !== first) continue;
    for (const element of [link.mark, one.words.get(s), one.words.get(t)]) element.classList.add("on");
    if (link.p === null) continue;
    const [x, y] = link.at[t === first ? "s" : "t"];
    one.svg.append(make("text", { class: "number", x, y }, link.p.toFixed(2)));
  }
  $("status").textContent = second ? one.words.get(second).getAttribute("aria-label") : one.words.get(first).getAttribute("aria-label");
}

function lightFrom(event) {
  const word = event.target.closest?.("[data-key]");
  const lit = word ? [word.closest("article"), word.dataset.key.split(" ")] : null;
  light(...lit ?? pinned ?? []);
  return lit;
}

// Which pairs are there, in which order, and where one is.

const main = $("main"), articles = pairs.map(articleOf), SECTION = 50;
let shown = [];
const seen = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries) target.isNear = isIntersecting;
  draw(entries.filter(entry => entry.isIntersecting && !drawn.has(entry.target)).map(entry => entry.target));
}, { rootMargin: "600px" });
const seenSections = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries) for (const article of target.children) {
    if (isIntersecting) seen.observe(article);
    else if (article !== current && article !== pinned?.[0]) leave(article);
  }
}, { rootMargin: "1200px" });

function leave(article) {
  seen.unobserve(article);
  article.isNear = false;
  if (drawn.has(article)) article.style.height = `${drawn.get(article).height}px`;  // so that nothing moves
  drawn.delete(article);
  article.replaceChildren();
}

function articleOf(pair) {
  const article = make("article", { id: pair.number, tabindex: 0, "aria-label": `Pair ${pair.number}` });
  article.pair = pair;
  return article;
}

function headingOf(pair) {
  return make("h2", {}, make("a", { href: `#${pair.number}` }, `${pair.number}`), make("span", { class: "facts" }, captionOf([pair])),
    ...(pair.doubt === undefined ? [] : [`doubt ${pair.doubt.toFixed(2)}`]), make("span", {}, pair.origin ?? ""));
}

function sectionOf(some) {
  const section = make("section", { style: `contain-intrinsic-height: auto ${11 * some.length}rem` }, ...some);
  seenSections.observe(section);
  return section;
}

const lengthOf = ({ parts: [source, target] }) => source.length + target.length;
const orders = { given: (a, b) => a.place - b.place, length: (a, b) => lengthOf(b) - lengthOf(a) };
if (facts.theirs) orders[facts.is_gold ? "AER" : "difference"] = (a, b) => errorOf(b.tally) - errorOf(a.tally);
else orders.doubt = (a, b) => b.doubt - a.doubt;

function arrange() {
  const query = state.query.trim(), sections = [];
  seenSections.disconnect();
  shown = query ? articles.filter(({ pair }) => textOf(pair).includes(query)) : [...articles];
  shown.sort((a, b) => orders[state.order](a.pair, b.pair));
  for (let k = 0; k < shown.length; k += SECTION) sections.push(sectionOf(shown.slice(k, k + SECTION)));
  const still = new Set(shown);
  for (const article of drawn.keys()) if (!still.has(article)) leave(article);
  main.replaceChildren(...sections, ...(shown.length ? [] : [make("p", { class: "nothing" }, "No pair has it.")]));
  renew();
}

function renew() {
  const some = shown.map(article => article.pair);
  $("count").textContent = `${some.length === pairs.length ? "" : some.length + " of "}${pairs.length} pairs · ${captionOf(some)}`;
  pinned = null;
  light();
  draw([...drawn.keys()]);
}

// #7 in the address leads to pair 7, #7:t2 to its third target word.
function followAddress() {
  const [number, key] = location.hash.slice(1).split(":"), article = $(number);
  if (!article?.pair) return;
  article.scrollIntoView();
  go(article);
  if (!drawn.has(article)) draw([article]);
  if (drawn.get(article).words.has(key)) light(...pinned = [article, [key]]);
}

let current = null;

function go(article) {
  current?.classList.remove("current");
  current = article;
  current.classList.add("current");
}

function step(by) {
  const next = shown[Math.max(0, Math.min(shown.length - 1, current?.isConnected ? shown.indexOf(current) + by : 0))];
  if (!next) return;
  pinned = null;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  requestAnimationFrame(() => next.scrollIntoView({ block: "nearest" }));  // its height is known now
}

function stepWord(by) {
  if (!current?.isConnected) step(0);
  const words = [...drawn.get(current)?.words.values() ?? []].sort((a, b) => keyOrder(a) - keyOrder(b));
  const at = words.indexOf(document.activeElement);
  words[at < 0 ? (by > 0 ? 0 : words.length - 1) : (at + by + words.length) % words.length]?.focus();
}

const keyOrder = word => (word.dataset.key[0] === "t") * 1e6 + +word.dataset.key.slice(1);

function set(name, value) {
  state[name] = value;
  if (name === "view") for (const view of ["lines", "grid"]) $(view).setAttribute("aria-pressed", view === value);
  if (name === "min") countLinks();
  name === "query" || name === "order" ? arrange() : renew();
}

function turnTheme() {
  const isDark = getComputedStyle(document.documentElement).colorScheme === "dark" ||
    (!document.documentElement.style.colorScheme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.style.colorScheme = isDark ? "light" : "dark";
}

function letGo() {
  pinned = null;
  light();
  if (document.activeElement !== document.body) current?.focus({ preventScroll: true });
  if (state.query) set("query", $("query").value = "");
  $("query").blur();
}

const KEYS = {
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
  ArrowRight: () => stepWord(1), ArrowLeft: () => stepWord(-1), "/": () => $("query").focus(),
  l: () => set("view", "lines"), g: () => set("view", "grid"), d: turnTheme, "?": () => $("keys").showModal(), Escape: letGo,
};

document.addEventListener("keydown", event => {
  const isTyping = event.target.matches("input, select") && event.key !== "Escape";
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || $("keys").open || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
main.addEventListener("pointerover", lightFrom);
main.addEventListener("pointerleave", () => light(...pinned ?? []));
main.addEventListener("focusin", event => { go(event.target.closest("article")); lightFrom(event); });
main.addEventListener("click", event => {
  if (event.target.closest("a")) return;
  pinned = lightFrom(event);
  if (pinned?.[1].length === 1) history.replaceState(null, "", `#${pinned[0].id}:${pinned[1]}`);
});
addEventListener("hashchange", followAddress);
for (const view of ["lines", "grid"]) $(view).addEventListener("click", () => set("view", view));
let waiting;
const later = action => { clearTimeout(waiting); waiting = setTimeout(action, 80); };
$("query").addEventListener("input", event => later(() => set("query", fold(event.target.value))));
$("min").addEventListener("input", event => { $("least").textContent = (+event.target.value).toFixed(2); later(() => set("min", +event.target.value)); });
$("order").addEventListener("input", event => set("order", event.target.value));
$("theme").addEventListener("click", turnTheme);
$("help").addEventListener("click", () => $("keys").showModal());
let width = innerWidth;
addEventListener("resize", () => { if (width !== innerWidth) later(renew); width = innerWidth; });

for (const name of Object.keys(orders)) if (name !== "given") $("order").append(make("option", { value: name }, `by ${name}`));
if (facts.theirs) for (const [kind, name] of Object.entries(NAMES)) {
  const swatch = make("svg", { class: "swatch", viewBox: "0 0 24 10" }, make("path", { class: `link ${kind}`, d: "M1 5h22", "stroke-width": 3 }));
  const button = make("button", { "aria-pressed": "true", title: "Show or hide" }, swatch, name);
  button.addEventListener("click", () => {
    const isShown = state.hidden.has(kind);
    state.hidden[isShown ? "delete" : "add"](kind);
    button.setAttribute("aria-pressed", isShown);
    renew();
  });
  $("verdicts").append(button);
}
else $("verdicts").hidden = true;
$("min").parentElement.hidden = pairs.every(pair => pair.links.every(link => numberOf(link) === null));
document.documentElement.style.setProperty("--top", `${document.querySelector("header").offsetHeight + 8}px`);
countLinks();
arrange();
followAddress();
