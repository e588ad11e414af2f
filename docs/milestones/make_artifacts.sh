#!/usr/bin/env bash
# Makes docs/milestones/artifacts anew, by the commands that the pages name.
#
# Run it in a clone of its own: it begins with an empty local AWS, runs and takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
to=docs/milestones/artifacts
make setup
source .venv/bin/activate

# 1. Foundation
npx cdk ls > $to/1/stacks.txt
npx cdk synth --quiet --output build/cdk.out
jq --null-input --sort-keys '[inputs | {(input_filename | split("/")[-1] | split(".")[0]):
  ([.Resources[].Type] | group_by(.) | map({(.[0]): length}) | add)}] | add' \
  build/cdk.out/iot-dev-*.template.json > $to/1/resources.json

# 2. From a reading to an alert, a table and a dashboard
make demo | sed "s#$PWD/##" > $to/2/demo.txt
cp build/demo/summary.json $to/2/summary.json

# 3. Alerts
for rules in rules.yaml docs/examples/*[!t].yaml; do
  echo "\$ iot rules test $rules"
  iot rules test "$rules"
done > $to/3/rules-tests.txt

# A run with duplicates, late, reordered and damaged lines, on a local AWS of its own
iot down
iot up
iot deploy
iot alerts tail --json > $to/3/notifications.jsonl &
tail=$!
sleep 2
iot simulate --scenario dirty-network --speed 60 --sink kinesis --manifest build/dirty-network.json
sleep 30
kill $tail
iot query --name alerts-by-rule --format csv > $to/3/alerts-by-rule.csv

# 4. The lake
rows="SELECT count(*) AS readings, count(DISTINCT device_id) AS devices, sum(copies) AS copies, sum(seq) AS seqs,
  round(sum(temperature), 6) AS temperatures FROM readings"
iot etl run --dry-run --json > $to/4/dry-run.json
iot etl run --json > $to/4/run.json
iot query --format csv "$rows" > $to/4/rows.csv
iot etl run --full --json > $to/4/full.json
iot query --format csv "$rows" > $to/4/rows-after-full.csv
iot query --name quarantine-by-reason --format csv > $to/4/quarantine-by-reason.csv
iot query --name late-data --format csv > $to/4/late-data.csv

# 5. The fleet
iot audit --manifest build/dirty-network.json --json | jq 'del(.devices)' > $to/5/audit.json
iot score --manifest build/dirty-network.json --alerts $to/3/notifications.jsonl --json > $to/5/score-of-a-run.json
iot score --all --start 2026-11-24T09:00:00Z --json > $to/5/score-rehearsed.json
iot down
