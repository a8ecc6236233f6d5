// Asks Prometheus as Grafana does, and gives Grafana's data frames.
import { FieldType, toDataFrame } from '@grafana/data';

export function interpolate(text, variables) {
  return text.replace(/\$\{?(\w+)(:\w+)?\}?/g, (whole, name) => variables[name] ?? whole);
}

export async function query(server, target, alone, span, variables) {
  const parameters = { query: interpolate(target.expr, variables) };
  Object.assign(
    parameters,
    target.instant ? { time: span.to } : { start: span.from, end: span.to, step: span.step }
  );
  const kind = target.instant ? 'query' : 'query_range';
  const response = await fetch(`${server}/api/v1/${kind}?${new URLSearchParams(parameters)}`);
  const answer = await response.json();
  if (answer.status !== 'success') {
    throw new Error(`${parameters.query}: ${answer.error}`);
  }
  const series = answer.data.result;
  return target.format === 'table' ? [rows(target, alone, series)] : series.map((one) => line(target, one, span));
}

function line(target, { metric, values, value }, span) {
  const points = new Map((values ?? [value]).map(([time, number]) => [time, Number(number)]));
  const times = target.instant ? [...points.keys()] : steps(span);
  const name = target.legendFormat?.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => metric[label] ?? '');
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: times.map((time) => time * 1000) },
      {
        name: 'Value',
        type: FieldType.number,
        labels: metric,
        config: name ? { displayNameFromDS: name } : {},
        values: times.map((time) => finite(points.get(time))),
      },
    ],
  });
}

// Grafana draws nothing where there is no number.
const finite = (number) => (Number.isFinite(number) ? number : null);

function* range(from, to, step) {
  for (let at = from; at <= to; at += step) {
    yield at;
  }
}

const steps = (span) => [...range(span.from, span.to, span.step)];

function rows(target, alone, series) {
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].sort();
  const column = (name, type, of) => ({ name, type, values: series.map(of) });
  return toDataFrame({
    refId: target.refId,
    fields: [
      column('Time', FieldType.time, (one) => one.value[0] * 1000),
      ...labels.map((label) => column(label, FieldType.string, (one) => one.metric[label])),
      column(alone ? 'Value' : `Value #${target.refId}`, FieldType.number, (one) => Number(one.value[1])),
    ],
  });
}
