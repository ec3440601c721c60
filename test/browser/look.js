// What the tests ask of a page.

function shown(e) {
  const s = getComputedStyle(e), r = e.getBoundingClientRect();
  return s.visibility !== 'hidden' && s.display !== 'none' && r.width > 0 && r.height > 0 && !e.closest('details:not([open]) > :not(summary)');
}

function focusable() {
  return [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary, [tabindex="0"]')].filter((e) => shown(e) && !e.disabled);
}

// begin puts the focus in front of everything.
function begin() {
  document.activeElement?.blur();
  getSelection().removeAllRanges();
  scrollTo(0, 0);
  document.body.setAttribute('tabindex', '-1');
  document.body.focus();
  document.body.removeAttribute('tabindex');
}

function focus() {
  const e = document.activeElement, s = getComputedStyle(e);
  const seen = s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
  return { Index: focusable().indexOf(e), Text: (e.textContent || e.id || e.name || e.tagName).trim().slice(0, 60), Seen: seen };
}

function parts(colour) {
  const n = colour.match(/[\d.]+/g).map(Number);
  return n.length === 3 ? [...n, 1] : n;
}

function luminance([r, g, b]) {
  const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}

// ground is the colour behind an element.
function ground(e) {
  for (; e; e = e.parentElement) {
    const c = parts(getComputedStyle(e).backgroundColor);
    if (c[3] > 0) return c;
  }
  return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
}

function contrast(e) {
  const [a, b] = [luminance(parts(getComputedStyle(e).color)), luminance(ground(e))].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}

function nameOf(e) {
  const by = e.getAttribute('aria-labelledby');
  if (by) return by.split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join(' ').trim();
  return (e.getAttribute('aria-label') || [...(e.labels ?? [])].map((l) => l.textContent).join(' ') || e.textContent || e.title || '').trim();
}

function describe(e) {
  return `<${e.tagName.toLowerCase()}${e.id ? ' id=' + e.id : ''}${e.className ? ' class=' + (e.className.baseVal ?? e.className) : ''}> ${e.textContent.trim().slice(0, 40)}`;
}

// faults are what keeps people from using the page.
function faults() {
  const out = [];
  if (!document.documentElement.lang) out.push('the page does not say its language');
  for (const one of ['header', 'main', 'h1', 'footer']) {
    if (document.querySelectorAll(one).length !== 1) out.push(`there is not exactly one <${one}>`);
  }
  let level = 0;
  for (const h of document.querySelectorAll('h1, h2, h3, h4')) {
    const n = Number(h.tagName[1]);
    if (n > level + 1) out.push(`heading of level ${n} after level ${level}: ${h.textContent}`);
    level = n;
  }
  const ids = new Set();
  for (const e of document.querySelectorAll('[id]')) {
    if (ids.has(e.id)) out.push(`two elements have the id ${e.id}`);
    ids.add(e.id);
  }
  for (const e of document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, nav, section, form[aria-label], svg[role=img], pre[tabindex], [role=region], [role=search] input:not([type=hidden])')) {
    const region = e.tagName === 'SECTION' && !e.hasAttribute('aria-labelledby') && !e.hasAttribute('aria-label');
    if (!region && !nameOf(e)) out.push(`nothing names ${describe(e)}`);
  }
  for (const e of document.querySelectorAll('[aria-labelledby], [aria-describedby]')) {
    for (const id of (e.getAttribute('aria-labelledby') ?? e.getAttribute('aria-describedby')).split(' ')) {
      if (!document.getElementById(id)) out.push(`${id}, which is to name ${describe(e)}, is not there`);
    }
  }
  for (const th of document.querySelectorAll('th')) if (!th.scope) out.push(`a head of a table says not of what: ${th.textContent}`);
  const seen = new Set();
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.textContent.trim());
    if (!own || !shown(e) || e.closest('.hidden, .skip')) continue;
    const s = getComputedStyle(e), large = parseFloat(s.fontSize) >= 24 || (parseFloat(s.fontSize) >= 18.66 && Number(s.fontWeight) >= 700);
    const ratio = contrast(e), what = `contrast ${ratio.toFixed(2)} of ${describe(e)}`;
    if (ratio < (large ? 3 : 4.5) && !seen.has(e.className + e.tagName)) {
      seen.add(e.className + e.tagName);
      out.push(what);
    }
  }
  return out;
}

function sticksOut() {
  const wide = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll, pre'));
  return wide.slice(0, 3).map(describe).join('; ');
}
