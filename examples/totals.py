"""See what a client has used: in all, for one session, and for one piece of work."""

from meshapi import ChatCompletionParams, MeshAPI, SpendLimitExceeded

client = MeshAPI()
history = [{"role": "user", "content": "Hello"}]
for session in ("search", "search", "support"):
    client.chat.completions.create(ChatCompletionParams(messages=history, session_id=session))

before = client.totals
client.chat.completions.create(ChatCompletionParams(messages=history))
last = client.totals - before

print(before.calls, "calls,", before.total_tokens, "tokens,", before.cost, "dollars")
print("search:", before.sessions["search"].total_tokens, "tokens")
print("the last call:", last.total_tokens, "tokens,", last.retries, "retries")
print("refused for the budget:", client.totals.errors[SpendLimitExceeded])
