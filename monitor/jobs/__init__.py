"""What the service does, one module a job; none holds a business rule.

watch      read keys and usage, judge, alert, act: every `schedule.keys_every`
backfill   31 days of history on the first start, newest first, resumable
warmup     state of the fleet from checkpoint and store, on start
arming     `enforce` needs a recent replay of this account with this policy
train      refit the detector on the store's own history
deliver    empty the outbox
digest     the weekly report, once a week through the outbox
weekly     the digest of a week, from the store
silences   when the monitor did not watch
unattributed  dollars that no key could be given
upkeep     retention, vacuum, backup, checkpoint
withheld   why an intent is not carried out after all
manual     restore and revoke by a person
desk       acknowledge, silence, resolve by a person
health     what is wrong with the source in a cycle
timing     whether time can be believed
broken     the watch fails by a fault in the program: people are told
auditing   settings, arming and kill switch into the audit trail; its head into the log
files      written whole or not at all
terms      one service acts at a time
bundle     the files of a refund claim
"""
