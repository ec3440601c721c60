// The console works without this module. The module updates the live view and shows the progress of a report.

const cells = ['at', 'what', 'provider', 'account', 'status', 'outcome', 'detail'];
const labels = ['Time', 'What', 'Provider', 'Account', 'Status', 'Outcome', 'Detail'];

// clock is the time of day, UTC, of an instant.
function clock(instant) {
  const at = new Date(instant);
  return Number.isNaN(at.getTime()) ? instant : at.toISOString().slice(11, 23);
}

// fresh makes an empty row of the live view.
function fresh() {
  const tr = document.createElement('tr');
  for (const [i, name] of cells.entries()) {
    const td = tr.insertCell();
    td.dataset.label = labels[i];
    if (name === 'status' || name === 'outcome') td.append(document.createElement('span'));
    if (name === 'detail') td.append(document.createElement('a'));
  }
  return tr;
}

// set changes what differs only: most rows of a busy view are alike, and a browser lays out what was touched.
function set(element, name, value) {
  if (element[name] !== value) element[name] = value;
}

// fill puts an event into a row. Its values become text, never markup.
function fill(tr, row) {
  tr.dataset.at = row.at;
  for (const [i, name] of cells.entries()) {
    const td = tr.cells[i], inner = td.firstElementChild;
    if (!inner) set(td, 'textContent', name === 'at' ? clock(row.at) : row[name]);
    else if (name === 'detail') {
      set(inner, 'textContent', row.detail || (row.href && 'look'));
      if (row.href) inner.href = row.href;
      else inner.removeAttribute('href');
    } else {
      set(inner, 'className', row[name] && `pill ${name[0]}-${row[name]}`);
      set(inner, 'textContent', row[name].replaceAll('_', ' '));
    }
  }
  return tr;
}

// Live follows the stream of a table, newest first, and keeps no more rows than the page shows.
class Live {
  constructor(table) {
    this.body = table.tBodies[0];
    this.address = table.dataset.stream;
    this.most = Number(table.dataset.most);
    this.state = document.getElementById('live-state');
    this.button = document.getElementById('pause');
    this.passed = 0;
    this.button.hidden = false;
    this.button.addEventListener('click', () => (this.source ? this.pause() : this.go()));
    addEventListener('pagehide', () => this.stop());
    addEventListener('pageshow', (e) => e.persisted && this.button.textContent === 'Pause' && this.go());
    this.go();
  }

  go() {
    this.stop();
    this.source = new EventSource(this.address);
    this.source.addEventListener('open', () => this.say('Live'));
    this.source.addEventListener('rows', (e) => this.take(JSON.parse(e.data)));
    this.source.addEventListener('over', () => this.pause('Paused: you have opened Live in other tabs. Continue shows it here.'));
    this.source.addEventListener('ended', () => location.assign('/console/sign-in'));
    this.source.addEventListener('error', () => this.broken());
    this.button.textContent = 'Pause';
    this.button.setAttribute('aria-pressed', 'false');
  }

  stop() {
    this.source?.close();
    this.source = null;
  }

  pause(why = 'Paused. Activity during the pause is not shown later; see verifications and quarantine.') {
    this.stop();
    this.button.textContent = 'Continue';
    this.button.setAttribute('aria-pressed', 'true');
    this.say(why);
  }

  broken() {
    const over = this.source?.readyState === EventSource.CLOSED;
    this.say(over ? 'The connection is closed. Load the page again.' : 'The connection is lost, trying again.');
    if (over) this.stop();
  }

  take(message) {
    this.passed += message.passed;
    const rows = document.createDocumentFragment();
    for (const row of message.rows) {
      // The oldest row is used again: making hundreds of new ones a second costs a browser much.
      const used = this.body.rows.length + rows.childElementCount >= this.most && this.body.lastElementChild;
      rows.prepend(fill(used || fresh(), row));
    }
    this.body.prepend(rows);
    if (message.passed) this.telling ??= setTimeout(() => this.tell(), 2000); // often enough for a screen reader
  }

  tell() {
    this.telling = null;
    if (this.source) this.say(`Live. ${this.passed} rows arrived too fast to be shown.`);
  }

  // say shows a state once: a screen reader reads each change.
  say(text) {
    if (this.state.textContent !== text) this.state.textContent = text;
  }
}

// report looks again while the account of everything is being made.
async function report() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const answer = await fetch('/console/report');
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const main = page.getElementById('main');
    document.getElementById('main').replaceChildren(...main.childNodes);
    if (!document.getElementById('busy')) return;
  }
}

const table = document.getElementById('live');
if (table) new Live(table);
if (document.getElementById('busy')) report();
