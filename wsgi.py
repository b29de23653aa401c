from wa_admin import config, create_app, log

try:
    app = create_app()
except config.BadSetting as error:
    log.give_up(error)
