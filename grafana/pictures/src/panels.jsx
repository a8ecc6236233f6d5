// One panel of a dashboard, drawn by Grafana's own components.
import {
  FieldType,
  getDisplayProcessor,
  getDisplayValueAlignmentFactors,
  getFieldDisplayName,
  getFieldDisplayValues,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { BarGauge, BigValue, Table, TimeSeries } from '@grafana/ui';
import { lastValueFrom } from 'rxjs';

standardTransformersRegistry.setInit(() =>
  [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer].map((one) => ({
    id: one.id,
    name: one.name,
    transformation: async () => one,
    editor: () => null,
  }))
);

// What a graph has where a dashboard does not say otherwise.
const LINE = {
  drawStyle: 'line',
  lineInterpolation: 'linear',
  axisPlacement: 'auto',
  gradientMode: 'none',
  pointSize: 5,
  scaleDistribution: { type: 'linear' },
  hideFrom: { legend: false, tooltip: false, viz: false },
};

export async function transformed(panel, frames) {
  return panel.transformations ? lastValueFrom(transformDataFrame(panel.transformations, frames)) : frames;
}

export function configured(panel, frames, theme) {
  const { defaults, overrides } = panel.fieldConfig;
  for (const frame of frames) {
    frame.fields.forEach((field, index) => {
      if (field.type === FieldType.time) {
        field.display = getDisplayProcessor({ field, theme });
        return;
      }
      const name = getFieldDisplayName(field, frame, frames);
      const config = { ...structuredClone(defaults), ...field.config };
      config.custom = { ...(panel.type === 'timeseries' ? LINE : {}), ...config.custom };
      for (const { matcher, properties } of overrides) {
        for (const { id, value } of matcher.options === name ? properties : []) {
          const [first, second] = id.split('.');
          second ? (config.custom[second] = value) : (config[first] = value);
        }
      }
      delete config.links;
      field.config = config;
      field.state = { seriesIndex: panel.type === 'timeseries' ? frames.indexOf(frame) : index };
      field.display = getDisplayProcessor({ field, theme });
    });
  }
  return frames;
}

function displays(panel, frames, theme) {
  return getFieldDisplayValues({
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text,
    data: frames,
    theme,
    timeZone: 'utc',
  });
}

function Nothing({ text }) {
  return (
    <div style={{ display: 'grid', placeItems: 'center', height: '100%', color: '#8e8e99' }}>{text}</div>
  );
}

function Stat({ panel, frames, width, height, theme }) {
  const { colorMode, graphMode, justifyMode, textMode } = panel.options;
  const [{ display }] = displays(panel, frames, theme);
  const of = { value: display, colorMode, graphMode, justifyMode, textMode };
  return <BigValue {...of} width={width} height={height} theme={theme} />;
}

function Graph({ panel, frames, width, height, span }) {
  return (
    <TimeSeries
      frames={frames}
      width={width}
      height={height}
      timeRange={span.range}
      timeZone="utc"
      legend={panel.options.legend}
      options={panel.options}
    />
  );
}

function Bars({ panel, frames, width, height, theme }) {
  const all = displays(panel, frames, theme);
  const alignmentFactors = getDisplayValueAlignmentFactors(all);
  const of = { displayMode: panel.options.displayMode, orientation: 'horizontal', showUnfilled: true };
  return all.map(({ display, field }) => (
    <BarGauge
      key={display.title}
      {...of}
      value={display}
      field={field}
      alignmentFactors={alignmentFactors}
      width={width}
      height={Math.min(height / all.length, 40)}
      theme={theme}
    />
  ));
}

export function Drawn(props) {
  const { panel, frames, width, height } = props;
  const empty = frames.every((frame) => frame.length === 0);
  if (panel.type !== 'stat' && empty) {
    return <Nothing text={panel.fieldConfig.defaults.noValue} />;
  }
  switch (panel.type) {
    case 'stat':
      return <Stat {...props} />;
    case 'timeseries':
      return <Graph {...props} />;
    case 'bargauge':
      return <Bars {...props} />;
    case 'table':
      return <Table data={frames[0]} width={width} height={height} initialSortBy={panel.options.sortBy} />;
    default:
      throw new Error(panel.type);
  }
}
