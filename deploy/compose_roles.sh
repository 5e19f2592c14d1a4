#!/bin/sh
# Roles of docker-compose.yml: the owner of the schema, and the service, which may not change it.
# Afterwards no one can sign in as the superuser over the network.
set -eu
psql --username postgres --dbname baywheels --set ON_ERROR_STOP=1 \
  --set owner_password="$POSTGRES_PASSWORD" --set web_password="$POSTGRES_WEB_PASSWORD" <<'SQL'
CREATE ROLE baywheels LOGIN CREATEROLE PASSWORD :'owner_password';
ALTER DATABASE baywheels OWNER TO baywheels;
CREATE ROLE baywheels_app NOLOGIN;
CREATE ROLE web LOGIN PASSWORD :'web_password' IN ROLE baywheels_app;
ALTER ROLE postgres PASSWORD NULL;
SQL
