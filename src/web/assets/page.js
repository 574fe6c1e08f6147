// What pages do beyond plain HTML: local times, counting durations, and what is live.

function localTimes() {
  for (const time of document.querySelectorAll('time:not([title])')) {
    time.title = time.textContent;
    const options = { dateStyle: 'medium', timeStyle: 'short' };
    time.textContent = new Date(time.dateTime).toLocaleString(undefined, options);
  }
}
localTimes();

const shownAt = new WeakMap();
setInterval(() => {
  for (const took of document.querySelectorAll('[data-running]')) {
    if (!shownAt.has(took)) shownAt.set(took, Date.now());
    took.textContent = duration(Number(took.dataset.running) + Date.now() - shownAt.get(took));
  }
}, 1000);

function duration(ms) {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

// A link to a line opens the step it is in.
function showTarget() {
  const line = /^#L\d+$/.test(location.hash) && document.querySelector(location.hash);
  if (!line) return;
  line.closest('details').open = true;
  line.scrollIntoView({ block: 'center' });
}
addEventListener('hashchange', showTarget);
showTarget();

const live = document.querySelector('[data-events]');
if (live) watch(live);

function watch(page) {
  const state = document.getElementById('live');
  const follow = document.getElementById('follow');
  const mostLines = 20_000;
  let count = Number(page.dataset.lines ?? 0);
  let offset = Number(page.dataset.offset ?? 0);

  if (follow) {
    follow.parentElement.hidden = false;
    follow.checked = location.hash === '';
    // Scrolling up means reading: the page then stays where it is.
    addEventListener('wheel', (event) => event.deltaY < 0 && (follow.checked = false), { passive: true });
    follow.addEventListener('change', toEnd);
  }

  function toEnd() {
    if (follow?.checked) scrollTo({ top: document.documentElement.scrollHeight });
  }

  // The browser connects again by itself, and says with Last-Event-ID how far it got.
  const events = new EventSource(page.dataset.events);

  // What is shown next; it waits as long as somebody fills in a form.
  let next = null;
  function show() {
    const active = document.activeElement;
    if (next === null || (state.contains(active) && active.closest('form'))) return;
    const open = [...state.querySelectorAll('details[open][id]')].map((details) => details.id);
    state.innerHTML = next;
    next = null;
    for (const id of open) document.getElementById(id)?.setAttribute('open', '');
    localTimes();
  }
  state.addEventListener('focusout', () => setTimeout(show));

  events.addEventListener('state', (event) => {
    const { live: text, steps = [] } = JSON.parse(event.data);
    next = text;
    show();
    for (const { section, html } of steps) {
      const summary = document.querySelector(`[data-section="${section}"] > summary`);
      if (summary) summary.innerHTML = html;
    }
  });

  events.addEventListener('log', (event) => {
    const end = Number(event.lastEventId);
    if (end <= offset) return;
    offset = end;
    const { section, lines } = JSON.parse(event.data);
    const part = document.querySelector(`[data-section="${section}"]`);
    part.hidden = false;
    let html = '';
    for (const line of lines) {
      count += 1;
      html += `<div class="line" id="L${count}"><a href="#L${count}">${count}</a><span>${line}</span></div>`;
    }
    part.querySelector('.lines').insertAdjacentHTML('beforeend', html);
    const all = document.getElementsByClassName('line');
    while (all.length > mostLines) all[0].remove();
    toEnd();
  });

  events.addEventListener('restart', () => location.reload());
  events.addEventListener('end', () => {
    events.close();
    if (follow) follow.parentElement.hidden = true;
  });
}
