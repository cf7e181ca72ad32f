"""Findings of a manifest's check, for people."""

from __future__ import annotations

from typing import List, Mapping

import click

from bertkit.kube.lint.findings import Finding


def print_findings(found: Mapping[str, List[Finding]]) -> None:
    """Print the findings of each file, and how many there are."""
    for name, findings in found.items():
        for finding in findings:
            place = f"{name}:{finding.line}" if finding.line else f"{name}: {finding.document}"
            click.echo(f"{place}: {finding.level}: {finding.what}  [{finding.rule}]")
            click.echo(f"    at:      {finding.path or 'the whole document'}")
            click.echo(f"    why:     {finding.why}")
            click.echo(f"    instead: {finding.instead}")
        errors = sum(finding.level == "error" for finding in findings)
        warnings = len(findings) - errors
        click.echo(
            f"{name}: {_counted(errors, 'error')}, {_counted(warnings, 'warning')}"
            if findings
            else f"{name}: nothing is wrong"
        )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
