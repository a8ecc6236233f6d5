// A dashboard's file, drawn with live data: ?dashboard=FILE&prometheus=URL&minutes=N
import { createTheme, dateTime, ThemeContext } from '@grafana/data';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { configured, Drawn, transformed } from './panels';
import { interpolate, query } from './prometheus';

const GAP = 8;
const UNIT = 30 + GAP; // one row of Grafana's grid
const INTERVAL = 5; // seconds: the data source's "timeInterval"

const given = Object.fromEntries(new URLSearchParams(location.search));
const theme = createTheme();

function timeSpan(minutes) {
  const to = Math.floor(Date.now() / 1000 / INTERVAL) * INTERVAL;
  const from = to - minutes * 60;
  const [start, end] = [dateTime(from * 1000), dateTime(to * 1000)];
  return { from, to, step: INTERVAL, range: { from: start, to: end, raw: { from: start, to: end } } };
}

async function load(panel, span, variables) {
  const answers = panel.targets.map((one) =>
    query(given.prometheus, one, panel.targets.length === 1, span, variables)
  );
  const frames = (await Promise.all(answers)).flat();
  return { panel, frames: configured(panel, await transformed(panel, frames), theme) };
}

function place({ x, y, w, h }, width) {
  const column = (width - 2 * GAP + GAP) / 24;
  return { left: GAP + x * column, top: y * UNIT, width: w * column - GAP, height: h * UNIT - GAP };
}

function Shown({ panel, frames, span, variables, width }) {
  const at = place(panel.gridPos, width);
  const style = { position: 'absolute', left: at.left, top: at.top };
  if (panel.type === 'row') {
    return <div style={{ ...style, color: '#ccccdc', fontWeight: 500, paddingTop: 6 }}>{panel.title}</div>;
  }
  const title = interpolate(panel.title, variables);
  return (
    <div style={style}>
      <PanelChrome title={title} description={panel.description} width={at.width} height={at.height}>
        {(inner, high) => (
          <Drawn panel={panel} frames={frames} width={inner} height={high} span={span} theme={theme} />
        )}
      </PanelChrome>
    </div>
  );
}

// Stands where Grafana has its bars, and is as high.
function Head({ dashboard, span, variables }) {
  const chosen = dashboard.templating.list
    .map(({ name, label }) => `${label}: ${variables[name].replace('.+', 'All')}`)
    .join('   ');
  return (
    <div style={{ height: 112, padding: '0 8px', color: '#ccccdc', whiteSpace: 'pre' }}>
      <div style={{ fontSize: 20, padding: '18px 0 22px' }}>{dashboard.title}</div>
      <div>{`${chosen}   Last ${(span.to - span.from) / 60} minutes`}</div>
    </div>
  );
}

async function main() {
  const dashboard = await (await fetch(given.dashboard)).json();
  const span = timeSpan(Number(given.minutes));
  const variables = {
    datasource: 'Prometheus',
    job: 'watcher',
    instance: '.+',
    panel: given.panel,
    __rate_interval: `${4 * INTERVAL}s`,
    __range: `${span.to - span.from}s`,
  };
  const loaded = await Promise.all(
    dashboard.panels.map((one) => (one.targets ? load(one, span, variables) : { panel: one, frames: [] }))
  );
  createRoot(document.getElementById('root')).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Head dashboard={dashboard} span={span} variables={variables} />
      <div style={{ position: 'relative' }}>
        {loaded.map((one) => (
          <Shown key={one.panel.id} {...one} span={span} variables={variables} width={innerWidth} />
        ))}
      </div>
    </ThemeContext.Provider>
  );
}

main().catch((error) => {
  document.body.textContent = String(error);
  document.body.style.color = 'red';
});
