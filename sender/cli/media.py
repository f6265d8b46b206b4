"""`campaign medias` and `campaign media-files`."""

import os
from pathlib import Path
from typing import Any

import rich_click as click

from sender.cli.options import as_json, print_json, run_async

sandbox_flag = click.option("--sandbox", is_flag=True, help="Ask a stand-in API on this machine.")


@click.command()
@sandbox_flag
@as_json
def medias(sandbox: bool, as_json: bool) -> None:
    """List the account's own posts and reels, with the ids that `share` takes.

    \b
    campaign medias
    """
    from sender.cli.text import print_rows

    posts = run_async(_posts(sandbox))
    if as_json:
        print_json({"medias": posts})
        return
    names = ("media_id", "media_type", "timestamp", "permalink", "caption")
    print_rows(names, ([post[name] for name in names] for post in posts))


@click.group("media-files", invoke_without_command=True)
@click.option("--type", "media_type", type=click.Choice(["image", "video", "audio"]), help="Only files of this type.")
@sandbox_flag
@as_json
@click.pass_context
def media_files(context: click.Context, media_type: str | None, sandbox: bool, as_json: bool) -> None:
    """List the files of Inrō's media library, or keep one there for reuse.

    \b
    campaign media-files --type video
    campaign media-files upload reel.mp4
    """
    if context.invoked_subcommand:
        return
    from sender.cli.text import print_rows

    files = run_async(_files(sandbox, media_type))
    if as_json:
        print_json({"media_files": files})
        return
    names = ("id", "media_type", "url", "caption")
    print_rows(names, ([file[name] or "" for name in names] for file in files))


@media_files.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--account", default="default", help="The label that campaign files use for this account.")
@sandbox_flag
@as_json
def upload(file: Path, account: str, sandbox: bool, as_json: bool) -> None:
    """Keep a file in the media library; campaigns with the same file then do not upload it again.

    \b
    campaign media-files upload reel.mp4
    """
    found = run_async(_upload(sandbox, file, account))
    if as_json:
        print_json(found)
    else:
        click.echo(found["url"] or f"Uploaded as {found['id']}; the API gives no URL for it.")


async def _posts(sandbox: bool) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from sender.media_library import open_account
    from sender.rehearsal import api

    async with api(os.environ, sandbox=sandbox) as settings, open_account(settings) as account:
        return [asdict(post) async for post in account.posts()]


async def _files(sandbox: bool, media_type: str | None) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from sender.media_library import open_account
    from sender.rehearsal import api

    async with api(os.environ, sandbox=sandbox) as settings, open_account(settings) as account:
        return [asdict(file) async for file in account.files(media_type)]


async def _upload(sandbox: bool, file: Path, account: str) -> dict[str, Any]:
    from dataclasses import asdict

    from sender.media_library import keep_file
    from sender.rehearsal import api

    async with api(os.environ, sandbox=sandbox) as settings:
        return asdict(await keep_file(settings, file, account))


COMMANDS = (medias, media_files)
