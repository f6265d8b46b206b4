"""The sender for agents: an MCP server with tools that do what the commands do. Importing the SDK costs a second."""
