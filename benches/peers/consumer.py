"""A consumer over pika and Apprise, such as people write: GitLab's events from a queue to each project's address."""

import json
import signal
import sys

import apprise
import pika

with open(sys.argv[1], encoding="utf-8") as file:
    ORDERS = json.load(file)

ROOMS = []
for address in ORDERS["addresses"]:
    room = apprise.Apprise()
    # Apprise's own scheme for a webhook that takes JSON.
    room.add(address.replace("https://", "jsons://").replace("http://", "json://"))
    ROOMS.append(room)


def on_message(channel, method, _properties, body):
    event = json.loads(body)
    author = event.get("user_name") or event["user"]["name"]
    project = event.get("project_id") or event["project"]["id"]
    title = f"{event['object_kind']} in {event['project']['name']}"
    ROOMS[project - 1].notify(title=title, body=f"{author}: {title}")
    channel.basic_ack(method.delivery_tag)


connection = pika.BlockingConnection(pika.URLParameters(ORDERS["broker"]))
channel = connection.channel()
channel.basic_qos(prefetch_count=ORDERS["in_flight"])
channel.basic_consume(ORDERS["queue"], on_message)


def stop(_signal, _frame):
    connection.add_callback_threadsafe(channel.stop_consuming)


signal.signal(signal.SIGTERM, stop)
channel.start_consuming()
connection.close()
