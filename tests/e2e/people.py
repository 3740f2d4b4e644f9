"""What people do in their browsers."""

from playwright.sync_api import Browser, Page, expect

from tests.e2e.installation import Installation


def sign_in(browser: Browser, installation: Installation, username: str) -> Page:
    page = browser.new_context().new_page()
    page.goto(f"{installation.url}/login/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(installation.accounts()[username])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="My work")).to_be_visible()
    return page
