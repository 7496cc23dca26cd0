"""Reads issues with other people's client of Jira, and prints what they were told, as JSON: `jira_reader.py URL KEY…`."""

import json
import sys

from jira import JIRA

url, *keys = sys.argv[1:]
jira = JIRA(url, token_auth="t0ken", options={"rest_api_version": "2"}, get_server_info=True, max_retries=0)


def told(key):
    issue = jira.issue(key)
    resolution = issue.fields.resolution
    return {
        "comments": [comment.body for comment in jira.comments(issue)],
        "links": [
            {"url": link.object.url, "title": link.object.title, "resolved": link.object.status.resolved,
             "relationship": link.relationship, "id": link.globalId}
            for link in jira.remote_links(issue)
        ],
        "status": issue.fields.status.name,
        "resolution": resolution.name if resolution else None,
        "offers": [transition["name"] for transition in jira.transitions(issue)],
    }


print(json.dumps({key: told(key) for key in keys}))
