#!/bin/bash
# Answers the two prompts of login-2fa without a terminal:
#   SSH_ASKPASS=.../askpass.sh SSH_ASKPASS_REQUIRE=force ssh -F ... login-2fa
case $1 in
  *assword*) echo "${BED_SSH_PASSWORD:-testpassword}";;
  *erification*) BED_TOTP_SECRET=${BED_TOTP_SECRET:-JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP} exec python3 "$(dirname "$0")/totp.py";;
  *) exit 1;;
esac
