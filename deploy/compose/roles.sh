#!/bin/sh
# Run once by the Postgres image, when its folder is empty: a role for each handler, which owns a schema of its name and
# nothing else (docs/databases.md). The passwords come from the environment, and are in no command line and no log.
set -eu
psql --quiet --no-psqlrc -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv process PROCESS_PASSWORD
\getenv aggregate AGGREGATE_PASSWORD
\getenv notify NOTIFY_PASSWORD
\getenv deadletters DEADLETTERS_PASSWORD
SET log_statement = 'none';
CREATE ROLE flotilla_process LOGIN PASSWORD :'process';
CREATE ROLE flotilla_aggregate LOGIN PASSWORD :'aggregate';
CREATE ROLE flotilla_notify LOGIN PASSWORD :'notify';
CREATE ROLE flotilla_deadletters LOGIN PASSWORD :'deadletters';
CREATE SCHEMA process AUTHORIZATION flotilla_process;
CREATE SCHEMA aggregate AUTHORIZATION flotilla_aggregate;
CREATE SCHEMA notify AUTHORIZATION flotilla_notify;
CREATE SCHEMA deadletters AUTHORIZATION flotilla_deadletters;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
SQL
