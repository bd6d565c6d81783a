"""Which models are there, and what do a million tokens cost?"""

from meshapi import MeshAPI, ModelListParams

with MeshAPI() as client:
    models = client.models.list(ModelListParams(type="text")).data

for model in models:
    price = model.pricing and model.pricing.prompt_usd_per_1m
    print(f"{model.id}: {model.context_length} tokens, {price} US dollars per million in")
