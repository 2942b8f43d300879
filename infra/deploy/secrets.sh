#!/bin/sh
# Makes the passwords and keys of compose.yaml, once: infra/deploy/secrets.sh [FOLDER]
#
# FOLDER is `secrets` beside this script by default; compose.yaml takes another from the variable SECRETS.
# Files that exist are kept. Only their owner gets into the folder. The containers run as other users and are
# handed single files, so the files themselves are readable. Needs openssl.
set -eu
umask 022
folder=${1:-$(dirname "$0")/secrets}
command -v openssl >/dev/null || { echo "openssl is missing: install it (apt install openssl)" >&2; exit 1; }
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

random() { openssl rand -hex 32; }
put() { # put NAME < text: whole or not at all
  cat >"$1.new" && chmod 444 "$1.new" && mv "$1.new" "$1"
}

for name in admin_key token_key mongo_admin_password mongo_password kafka_password kafka_broker_password redis_password; do
  [ -e "$name" ] || random | put "$name"
done
[ -e mongo_keyfile ] || openssl rand -base64 756 | put mongo_keyfile

# What the engines and Ringpost read, made from the passwords.
put mongo_url <<URL
mongodb://ringpost:$(cat mongo_password)@mongo:27017/?replicaSet=rs0&authSource=admin
URL
put redis_url <<URL
redis://ringpost:$(cat redis_password)@redis:6379/0
URL
put redis_users <<ACL
user default off
user ringpost on #$(printf %s "$(cat redis_password)" | openssl dgst -sha256 -r | cut -d' ' -f1) ~rp:* &rp:* +@all -@admin -@dangerous +info
ACL
put kafka_users <<JAAS
KafkaServer {
  org.apache.kafka.common.security.plain.PlainLoginModule required
  username="broker" password="$(cat kafka_broker_password)"
  user_broker="$(cat kafka_broker_password)"
  user_ringpost="$(cat kafka_password)";
};
JAAS
echo "The passwords and keys are in $(pwd). Keep a copy elsewhere: without token_key all tokens become invalid."
