import type * as d from '@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import type * as timeseries from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';
import type * as stat from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type * as table from '@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen';
import type * as geomap from '@grafana/schema/dist/types/raw/composable/geomap/panelcfg/x/types.gen';
import type * as text from '@grafana/schema/dist/types/raw/composable/text/panelcfg/x/types.gen';
import type * as barchart from '@grafana/schema/dist/types/raw/composable/barchart/panelcfg/x/types.gen';
import type { CloudWatchMetricsQuery } from '@grafana/schema/dist/types/raw/composable/cloudwatch/dataquery/x/types.gen';

/** https://github.com/grafana/athena-datasource, src/types.ts */
interface AthenaQuery {
  refId: string;
  hide?: boolean;
  queryType?: string;
  datasource?: { type?: string; uid?: string };
  format: 0 | 1 | 2;
  connectionArgs: {
    region?: string;
    catalog?: string;
    database?: string;
    resultReuseEnabled?: boolean;
    resultReuseMaxAgeInMinutes?: number;
  };
  table?: string;
  column?: string;
  queryID?: string;
  rawSQL: string;
}
type Query = Omit<CloudWatchMetricsQuery, 'sql' | 'sqlExpression' | 'alias' | 'statistics'> | AthenaQuery;
interface Fields<Custom> extends Omit<d.FieldConfigSource, 'defaults'> {
  defaults: Omit<d.FieldConfig, 'custom'> & { custom?: Partial<Custom> };
}
interface Of<Type extends string, Options, Custom> extends Omit<d.Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: Type;
  targets?: Query[];
  options?: Partial<Options>;
  fieldConfig?: Fields<Custom>;
}
type None = {};
type Panel =
  | Of<'timeseries', timeseries.Options, timeseries.FieldConfig>
  | Of<'stat', stat.Options, None>
  | Of<'table', table.Options, table.FieldConfig>
  | Of<'geomap', geomap.Options, None>
  | Of<'barchart', barchart.Options, barchart.FieldConfig>
  | Of<'text', text.Options, None>;
interface Row extends Omit<d.RowPanel, 'panels'> { panels: Panel[]; }
export interface Dashboard extends Omit<d.Dashboard, 'panels'> { panels: (Panel | Row)[]; }
